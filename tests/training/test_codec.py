"""`sonar-llm train codec`: from texts to a codec that encodes, decodes and is trained on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from sonar_cli import SonarLLM
from sonar_cli.cli import run
from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.tokenizer import EOS, PAD, UNK, Tokenizer
from sonar_cli.training import sentences
from sonar_cli.training.codec import _masked
from sonar_cli.training.corpus import Corpus, prepare_texts
from sonar_cli.training.sentences import held_out, of_corpus
from sonar_cli.training.tables import Data
from sonar_cli.training.texts import documents, part_of, place_of
from tests.training.dying import killed

SMALL = [
    "data.stories=40", "data.valid=0.2", "model.width=32", "model.heads=2", "model.layers=1",
    "model.encoder_ffn=48", "model.decoder_ffn=48", "model.vocabulary=420", "train.batch=8",
    "train.steps=6", "train.warmup=2", "train.validate_every=3", "train.save_seconds=0",
    "--threads", "1",
]  # fmt: skip


def _train(capsys, folder: Path, *more: str) -> tuple[int, str, str]:
    status = run(
        ["train", "codec", *SMALL, *more, "-o", str(folder), "--device", "cpu", "--threads", "1"]
    )
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def _weights(folder: Path) -> dict[str, bytes]:
    files = (each for each in (folder / "model").rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec")
    order = ["train", "codec", *SMALL, "-o", str(folder), "--device", "cpu", "--threads", "1", "-q"]
    assert run(order) == 0
    return folder


def test_a_codec_is_whole_and_used(trained: Path, capsys, tmp_path: Path) -> None:
    for place in (trained, trained / "model"):
        llm = SonarLLM.load(str(place), device="cpu")
        vectors = llm.encode(["Tom had a boat."])
        assert vectors.shape == (1, 32) and len(llm.decode(vectors, max_tokens=9)) == 1
        with pytest.raises(UsageError, match="codec alone"):
            llm.load_predictor()
    figures = json.loads((trained / "model" / "metrics.json").read_text())
    assert figures["probed"] > 10 and 0 <= figures["exact"] <= 1
    lines = [
        json.loads(each) for each in (trained / "codec" / "log.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [3, 6] and all("exact" in line for line in lines)
    # A system can be trained on it.
    small = ["model.hidden=16", "model.ffn=16", "model.layers=1", "model.heads=2"]
    more = [*small, "data.stories=20", "train.steps=2", "train.batch=2", f"codec={trained}"]
    out = tmp_path / "lcm"
    assert (
        run(["train", "lcm-mse", *more, "-o", str(out), "--device", "cpu", "--threads", "1"]) == 0
    )
    llm = SonarLLM.load(str(out), device="cpu")
    assert llm.codec.width == 32
    assert list(llm.continue_("Tom had a boat.", sentences=1, max_tokens=6))


def test_models_show_tells_how_good_it_is(trained: Path, capsys) -> None:
    assert run(["models", "show", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert "exact:" in shown and 'system = "codec"' in shown and "predictor" not in shown


def test_killed_and_resumed(trained: Path, capsys, tmp_path: Path) -> None:
    words = ["train", "codec", *SMALL, "-o", str(tmp_path), "--device", "cpu", "--threads", "1"]
    assert killed(words, "number == 4")
    assert _train(capsys, tmp_path)[0] == 0
    assert _weights(tmp_path) == _weights(trained)


def test_another_recipe_is_refused(trained: Path, capsys) -> None:
    for change, words in {
        "data.stories=41": "data.stories 40, not 41",
        "model.vocabulary=430": "model.vocabulary 420, not 430",
        "train.lr=0.5": "lr 0.002, not 0.5",
    }.items():
        status, _, err = _train(capsys, trained, change)
        assert status == 2 and words in err and err.count("\n") == 1


def test_going_on_from_another_codec(capsys, tmp_path: Path) -> None:
    """mini's own, for two steps: nearly as good as before, with the same tokenizer."""
    order = ["from=mini", "train.lr=1e-6", "train.steps=2", "train.validate_every=2"]
    assert _train(capsys, tmp_path, *order)[0] == 0
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["exact"] > 0.9
    mini = SonarLLM.load("mini", device="cpu").codec
    own = SonarLLM.load(str(tmp_path), device="cpu").codec
    assert own.tokenizer.pieces("Lily found a kite.") == mini.tokenizer.pieces("Lily found a kite.")


def test_a_frozen_encoder_stays(capsys, tmp_path: Path) -> None:
    status, _, err = _train(capsys, tmp_path / "new", "objective.frozen=true")
    assert status == 2 and "name it in from" in err and err.count("\n") == 1
    order = ["from=mini", "objective.frozen=true", "objective.blurred=0.5", "train.steps=2"]
    assert _train(capsys, tmp_path / "on", *order)[0] == 0
    mini, own = (
        SonarLLM.load(place, device="cpu").codec for place in ("mini", str(tmp_path / "on"))
    )
    for half, same in (("encoder", True), ("decoder", False)):
        before, after = (getattr(each, half).state_dict() for each in (mini, own))
        assert all(torch.equal(before[name], after[name]) for name in before) is same


def test_masked_pieces_are_unknown_and_nothing_else() -> None:
    ids = torch.tensor([[50, 7, 8, 9, EOS, PAD]] * 400)
    found = _masked(ids, 0.25)
    assert torch.equal(found[:, [0, 4, 5]], ids[:, [0, 4, 5]])
    share = (found[:, 1:4] == UNK).float().mean()
    assert float(share) == pytest.approx(0.25, abs=0.04)


def _codec_corpus(folder: Path, lines: list[str], **data) -> tuple[Corpus, Tokenizer]:
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in lines))
    tokenizer = Tokenizer.load(resolve().tokenizer)
    made = prepare_texts(
        folder / "corpus", Data(str(folder / "texts.jsonl"), **data), tokenizer,
        resolve().tokenizer, "mini", False, print,
    )  # fmt: skip
    return made, tokenizer


def test_sentences_come_as_often_as_the_roots_of_their_numbers(tmp_path: Path) -> None:
    lines = [f"Tom ran. Lily saw {n} kites." for n in range(40)]
    corpus, tokenizer = _codec_corpus(tmp_path, lines, valid=0.2, test=0.0)
    train, extra = len(corpus.train), ["Odd words.", "More."]
    found = of_corpus(corpus, extra, tokenizer)
    tom, rare = tokenizer.target("Tom ran.", "eng_Latn"), tokenizer.target("More.", "eng_Latn")
    rows = found.target(range(len(found)), torch.device("cpu")).tolist()
    rows = [[id for id in row if id != PAD] for row in rows]
    assert rows.count(tom) == math.isqrt(train) and rows.count(rare) == 1
    for mark in ("Begin of text.", "End of sequence.", "End of text.", "Summary of the text."):
        assert rows.count(tokenizer.target(mark, "eng_Latn")) == 1, mark
    assert len(found) == math.isqrt(train) + train + 4 + 2
    assert found.lengths.tolist() == list(map(len, rows))
    # What is held out is of no training text, though "Tom ran." is in the texts to validate on.
    probe = held_out(corpus, tmp_path / "corpus", 99)
    assert len(probe) == 40 - train > 0 and "Tom ran." not in probe


def test_a_text_of_one_sentence_is_one_for_a_codec(tmp_path: Path) -> None:
    corpus, tokenizer = _codec_corpus(tmp_path, ["Tom ran."])
    assert (len(corpus.train), len(corpus.valid)) == (1, 0)
    assert len(of_corpus(corpus, [], tokenizer)) == 1 + 4


def test_long_sentences_are_left_out(tmp_path: Path) -> None:
    texts = ["Tom ran.", "Tom ran and ran and ran and ran and ran. Ben ran.", "Ann ran. Ben hid."]
    corpus, tokenizer = _codec_corpus(tmp_path, texts)
    whole = of_corpus(corpus, ["Ann hid."], tokenizer)
    longest = int(whole.lengths.max()) - 1
    short = of_corpus(corpus, ["Ann hid."], tokenizer, longest)
    assert len(short) == sum(whole.lengths <= longest) < len(whole)
    assert short.lengths.max() <= longest and short.digest != whole.digest
    with pytest.raises(UsageError, match=r"objective\.longest=2: every sentence has more"):
        of_corpus(corpus, [], tokenizer, 2)


def test_a_sample_is_of_training_texts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sentences, "_SAMPLE", 30)
    data = Data(stories=40, valid=0.3)
    found = sentences.sample(data, 0)
    told = [each for each in documents(data, print) if part_of(place_of(each), data) == "train"]
    assert len(found) == 30 and set(found) <= {each for text in told for each in text}
    assert found != sentences.sample(data, 1) and found == sentences.sample(data, 0)
    late = {each for text in told[len(told) // 2 :] for each in text}
    assert sum(each in late for each in found) > 5


def test_one_folder_holds_one_training(trained: Path, capsys, tmp_path: Path) -> None:
    system = ["train", "lcm-mse", "data.stories=20", "--device", "cpu", "--threads", "1", "-o"]
    assert run([*system, str(trained)]) == 2
    assert "holds the training of a codec" in capsys.readouterr().err
    (tmp_path / "corpus").mkdir()
    status, _, err = _train(capsys, tmp_path)
    assert status == 2 and "holds the training of a system" in err


def test_nothing_goes_on_from_a_codec_alone(trained: Path, capsys, tmp_path: Path) -> None:
    assert run(["train", "finetune", f"from={trained}", "-o", str(tmp_path / "out")]) == 2
    assert "is a codec alone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_encoder_reads_no_more_than_it_learned(capsys, tmp_path: Path) -> None:
    order = ["objective.longest=30", "train.steps=1"]
    assert _train(capsys, tmp_path / "first", *order)[0] == 0
    assert SonarLLM.load(str(tmp_path / "first"), device="cpu").codec.max_len == 30
    on = [f"from={tmp_path / 'first'}", "train.steps=1", "objective.longest=40"]
    assert _train(capsys, tmp_path / "second", *on)[0] == 0
    assert SonarLLM.load(str(tmp_path / "second"), device="cpu").codec.max_len == 40


def test_a_deeper_decoder(capsys, tmp_path: Path) -> None:
    assert _train(capsys, tmp_path, "model.decoder_layers=2", "train.steps=1")[0] == 0
    codec = SonarLLM.load(str(tmp_path), device="cpu").codec
    assert (len(codec.encoder.layers), len(codec.decoder.layers)) == (1, 2)  # type: ignore[union-attr]
    assert _train(capsys, tmp_path / "no", "model.decoder_layers=-1")[0] == 2


def test_a_dry_run_says_what_it_takes(capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "codec", *SMALL, "--dry-run", "--device", "cpu", "--threads", "1"]) == 0
    captured = capsys.readouterr()
    lines = dict(line.split(": ") for line in captured.out.splitlines())
    assert captured.err == "" and lines["system"] == "codec"
    parameters, tokens = int(lines["parameters"]), float(lines["tokens_a_step"])
    assert float(lines["flops_a_step"]) == pytest.approx(6 * parameters * tokens, rel=0.01)
    assert float(lines["hours"]) >= 0 and int(lines["peak_bytes"]) > 10**8
    assert list(tmp_path.iterdir()) == []


def test_too_few_pieces(capsys, tmp_path: Path) -> None:
    status, _, err = _train(capsys, tmp_path, "model.vocabulary=5")
    assert status == 2 and "no tokenizer of 5 pieces: Vocabulary size is smaller" in err
    assert err.count("\n") == 1


def test_nothing_to_train_on(capsys, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("   \n")
    status, _, err = _train(capsys, tmp_path / "run", f"data.path={tmp_path / 'texts'}")
    assert status == 2 and "a.txt is empty" in err and err.count("\n") == 1
