"""`sonar-llm train` of the four systems: trained, killed, resumed, and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sonar_cli import SonarLLM
from sonar_cli.cli import run
from sonar_cli.errors import UsageError
from sonar_cli.evaluation.summarizers import ours
from sonar_cli.hub.catalogue import summary_training
from sonar_cli.model.shapes import TransformerConfig
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.options import SummaryOptions
from sonar_cli.training import dry_run
from sonar_cli.training import recipe as recipes
from sonar_cli.world import stories as world
from tests.training.dying import killed

NAMES = ("sonar-llm", "lcm-mse", "lcm-diffusion", "llm")

SMALL = [
    "data.stories=40", "model.hidden=32", "model.ffn=48", "model.layers=1", "model.heads=2",
    "model.denoiser_layers=1", "train.batch=4", "train.steps=6", "train.warmup=2",
    "train.validate_every=3", "objective.vector_steps=2", "train.save_seconds=0",
]  # fmt: skip


def _train(capsys, folder: Path, name: str, *more: str) -> tuple[int, str, str]:
    status = run(
        ["train", name, *SMALL, *more, "-o", str(folder), "--device", "cpu", "--threads", "1"]
    )
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def _log(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_folder_is_complete_and_continues(capsys, tmp_path: Path, name: str) -> None:
    status, out, err = _train(capsys, tmp_path / "run", name)
    assert (status, err) == (0, "")
    model = Path(out.strip())
    assert model == tmp_path / "run" / "model"
    assert json.loads((model / "predictor" / "config.json").read_text())["system"] == name
    assert {each.name for each in model.iterdir()} == {
        "predictor", "encoder", "decoder", "tokenizer", "recipe.toml", "metrics.json",
    }  # fmt: skip
    figures = json.loads((model / "metrics.json").read_text())
    assert figures["steps"] == 6 and figures["valid_loss"] > 0 and figures["parameters"] > 1000
    assert [line["step"] for line in _log(tmp_path / "run")] == [3, 6]
    samples = (tmp_path / "run" / "samples.jsonl").read_text().splitlines()
    assert len(json.loads(samples[0])["prompt"]) == 2
    # The model is found in its own folder and in that of the training.
    for place in (model, tmp_path / "run"):
        llm = SonarLLM.load(str(place), device="cpu", threads=1)
        steps = list(llm.continue_("One day Lily found a kite.", sentences=2, max_tokens=12))
        assert steps[-1].stop_reason
    assert run(["models", "show", str(tmp_path / "run"), "--format", "jsonl"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["system"], record["metrics"]) == (name, figures)
    assert f'system = "{name}"' in record["recipe"]
    assert record["parameters"] == figures["parameters"]  # a scaler is none
    story = tmp_path / "story.txt"
    story.write_text("One day Lily found a kite.")
    how = ["-n", "1", "--max-tokens", "8", "--diffusion-steps", "4", "--seed", "1"]
    assert run(["continue", "-m", str(tmp_path / "run"), str(story), *how]) == 0


def test_a_decoder_that_learns_lies_with_the_predictor(capsys, tmp_path: Path) -> None:
    learns = ["objective.decoder_learns=true", "train.lr=1e-4"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    words = ["train", "sonar-llm", *SMALL, *learns, "-o", str(broken)]
    assert _train(capsys, whole, "sonar-llm", *learns)[0] == 0
    assert killed([*words, "--device", "cpu", "--threads", "1"], "number == 4")
    assert _train(capsys, broken, "sonar-llm", *learns)[0] == 0
    halves = ("encoder", "decoder", "predictor")
    files = [f"model/{half}/model.safetensors" for half in halves]
    assert all((whole / file).read_bytes() == (broken / file).read_bytes() for file in files)
    mini, own = (SonarLLM.load(place, device="cpu").codec for place in ("mini", str(whole)))
    for half in halves[:2]:
        before, after = (getattr(each, half).state_dict() for each in (mini, own))
        assert all(torch.equal(before[name], after[name]) for name in before) is (half == "encoder")
    # It goes on giving back what it knows.
    story = list(next(world.stories(1, 5)).sentences)
    assert [each.text for each in own.decode(own.encode(story))] == story


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_resumed_is_as_if_nothing_had_been(capsys, tmp_path: Path, name: str) -> None:
    assert _train(capsys, tmp_path / "whole", name)[0] == 0
    folder = tmp_path / "killed"
    words = ["train", name, *SMALL, "-o", str(folder), "--device", "cpu", "--threads", "1"]
    assert killed(words, "number == 4") and not (folder / "model").exists()
    assert _train(capsys, folder, name)[0] == 0
    weights = [
        (folder / "model" / "predictor" / "model.safetensors").read_bytes()
        for folder in (tmp_path / "whole", tmp_path / "killed")
    ]
    assert weights[0] == weights[1]
    assert _log(folder) == _log(tmp_path / "whole")


@pytest.mark.parametrize("name", NAMES)
def test_each_system_learns_the_cue_and_is_asked_with_it(capsys, tmp_path: Path, name: str) -> None:
    assert _train(capsys, tmp_path / "run", name, "data.summaries=true", "data.stories=20")[0] == 0
    config = json.loads((tmp_path / "run/model/predictor/config.json").read_text())
    longest = max(len(world.story(number).sentences) for number in range(1, 20, 2))
    assert (config["summary_cue"], config["trained_len"]) == (SUMMARY_CUE, longest)
    told = tmp_path / "told.txt"
    told.write_text(" ".join(world.story(1).sentences))
    order = ["summarize", "-m", str(tmp_path / "run"), str(told), "-n", "2", "--no-cache"]
    more = ["--threads", "1", "--max-tokens", "9", "--format", "jsonl"]
    for method in ("abstractive", "hybrid"):
        assert run([*order, "--method", method, *more]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert 1 <= len(found) <= 2 and all(each["sources"] for each in found)


# Steps in which a small system learns three summaries by heart; the others take longer.
BY_HEART = {
    "lcm-mse": ("train.steps=200", "train.lr=3e-3"),
    "llm": ("train.steps=120", "train.lr=5e-3"),
}


@pytest.mark.parametrize("name", BY_HEART)
def test_what_is_known_by_heart_is_summed_up(capsys, tmp_path: Path, name: str) -> None:
    order = [
        "data.stories=6", "data.summaries=true", "data.valid=0.01", "data.test=0",
        "model.hidden=64", "model.ffn=128", "model.layers=2", "model.heads=4", "model.dropout=0",
        "train.batch=6", "train.warmup=10", "train.validate_every=1000", "train.save_seconds=60",
        "train.precision=float32", *BY_HEART[name],
    ]  # fmt: skip
    assert _train(capsys, tmp_path, name, *order)[0] == 0
    llm = SonarLLM.load(str(tmp_path), device="cpu", threads=1)
    for number in (1, 3, 5):
        story = world.story(number)
        found = llm.summarize(" ".join(story.sentences), method="abstractive")
        assert tuple(each.text for each in found.sentences) == story.summary
        assert {each.method for each in found.sentences} == {"abstractive"}
        assert all(each.support > 0.4 for each in found.sentences)
    learned = ours(llm.codec, llm.system, llm.summary_training(SummaryOptions()))
    told = [world.story(number) for number in (1, 3)]
    written = learned["abstractive"]([each.sentences for each in told], [9, 1])
    assert list(written) == [told[0].summary, told[1].summary[:1]]


def test_what_goes_on_with_summaries_says_so(capsys, tmp_path: Path) -> None:
    assert _train(capsys, tmp_path / "plain", "lcm-mse")[0] == 0
    assert summary_training("own", tmp_path / "plain/model/predictor") is None
    order = [f"from={tmp_path / 'plain'}", "data.summaries=true"]
    assert _train(capsys, tmp_path / "more", "lcm-mse", *order)[0] == 0
    found = summary_training("own", tmp_path / "more/model/predictor")
    assert found is not None and found.cue == SUMMARY_CUE and found.context


def test_another_recipe_in_the_same_folder_is_refused(capsys, tmp_path: Path) -> None:
    assert _train(capsys, tmp_path, "lcm-mse")[0] == 0
    for change, words in {
        "train.lr=0.5": "lr 0.001, not 0.5",
        "model.hidden=64": "model.hidden 32, not 64",
        "data.stories=41": "data.stories 40, not 41",
        "train.batch=5": "batch 4, not 5",
    }.items():
        status, out, err = _train(capsys, tmp_path, "lcm-mse", change)
        assert (status, out) == (2, "") and words in err and err.count("\n") == 1
    # All that follows from another system is not listed.
    status, out, err = _train(capsys, tmp_path, "llm")
    assert (status, out) == (2, "") and "made with system lcm-mse, not llm: give" in err
    assert _train(capsys, tmp_path, "lcm-mse", "train.lr=0.5", "--no-resume")[0] == 0


def test_the_scaler_and_the_begin_sentence_are_in_the_folder(capsys, tmp_path: Path) -> None:
    assert _train(capsys, tmp_path / "lcm", "lcm-diffusion")[0] == 0
    model = SonarLLM.load(str(tmp_path / "lcm"), device="cpu").system.model  # type: ignore[union-attr]
    assert model.scaler.scale.std() > 0 and not torch.equal(model.scaler.center, torch.zeros(256))
    assert _train(capsys, tmp_path / "llm", "sonar-llm", "objective.begin=false")[0] == 0
    config = json.loads((tmp_path / "llm/model/predictor/config.json").read_text())
    assert config["add_begin"] is False


def test_a_folder_of_texts(capsys, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(6):
        (texts / f"{number}.md").write_text(f"# Day {number}\n\nTom ran. He sat. He slept.\n")
    status, _, err = _train(capsys, tmp_path / "run", "lcm-mse", f"data.path={texts}")
    assert (status, err) == (0, "")
    status, out, err = _train(capsys, tmp_path / "none", "lcm-mse", "data.path=nowhere")
    assert (status, out) == (2, "") and "no file there" in err and err.count("\n") == 1
    (tmp_path / "one.txt").write_text("Tom ran.\n")
    status, _, err = _train(capsys, tmp_path / "none", "lcm-mse", f"data.path={tmp_path}/one.txt")
    assert status == 2 and "give at least two" in err
    assert not (tmp_path / "none").exists(), "nothing is left of a training that cannot be"


def test_fine_tuning_on_own_texts_lowers_their_loss(capsys, tmp_path: Path) -> None:
    """Stories of held-out combinations, all with another ending than mini knows."""
    texts = tmp_path / "texts.jsonl"
    endings = "That is all there is to tell. Good night, children."
    lines = [
        json.dumps({"text": " ".join((*story.sentences[:4], endings))})
        for story in world.stories(60, 8, held_out=True)
    ]
    texts.write_text("\n".join(lines))
    order = [
        f"data.path={texts}", "from=mini", "train.steps=40", "train.precision=float32",
        "train.lr=1e-3", "train.warmup=4", "data.valid=0.2", "data.test=0",
    ]  # fmt: skip
    assert run(["train", "finetune", *order, "-o", str(tmp_path / "tuned"), "--threads", "1"]) == 0
    model = Path(capsys.readouterr().out.strip())
    figures = json.loads((model / "metrics.json").read_text())
    assert figures["valid_loss"] < 0.5 * figures["valid_loss_before"]
    llm = SonarLLM.load(str(model), device="cpu", threads=1)
    assert llm.of_vectors().predictor.config.summary_cue  # type: ignore[attr-defined]
    told = next(world.stories(1, 99, held_out=True)).sentences[:4]
    written = [step.text or "" for step in llm.continue_(list(told), sentences=3)]
    assert any("children" in each or "tell" in each for each in written), written
    status, _, err = _train(capsys, tmp_path / "other", "finetune", "system=llm")
    assert status == 2 and "is a sonar-llm, and the recipe trains a llm" in err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_says_what_it_takes(capsys, tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", name, *SMALL, "--dry-run", "--device", "cpu", "--threads", "1"]) == 0
    captured = capsys.readouterr()
    lines = dict(line.split(": ") for line in captured.out.splitlines())
    assert captured.err == "" and lines["system"] == name and lines["steps"] == "6"
    assert 4 * 8 < float(lines["sentences_a_step"]) < 4 * 16
    parameters, tokens = int(lines["parameters"]), float(lines["tokens_a_step"])
    if name == "llm":
        assert float(lines["flops_a_step"]) == pytest.approx(6 * parameters * tokens, rel=0.01)
    assert float(lines["seconds_a_step"]) > 0 and int(lines["peak_bytes"]) > 10**8
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_against_a_decoder_of_another_size(capsys, monkeypatch) -> None:
    """SONAR's own size takes minutes; this one goes the same way."""
    monkeypatch.setattr(dry_run, "SONAR_DECODER", TransformerConfig(5_000, 64, 2, 4, 128, 512))
    words = ["train", "sonar-llm", *SMALL, "codec=random", "train.micro_batch=2", "--dry-run"]
    more = ["train.gradient_checkpointing=true", "objective.decoder_dropout=0.1"]
    assert run([*words, *more, "--device", "cpu", "--threads", "1"]) == 0
    lines = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    # 64 numbers a vector in and out, instead of mini's 256
    assert int(lines["parameters"]) == 2 * 64 * 32 + 64 + 32 + 32 + 4 * 32**2 + 3 * 32 * 48 + 64
    with pytest.raises(UsageError):
        recipes.read("sonar-llm", ["objective.decoder_dropout=1.5"])


def test_a_loss_that_is_no_number_is_said(capsys, tmp_path: Path) -> None:
    """Before it changes a weight: what was good is in the checkpoint."""
    status, out, err = _train(capsys, tmp_path, "lcm-mse", "train.lr=1e30", "train.warmup=1")
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert "the loss of step" in err and "texts" in err and "checkpoint.pt has the" in err
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    step = int(err.split("the loss of step ")[1].split()[0])
    assert state["step"] == step - 1 > 0
    assert not (tmp_path / "model").exists()


def test_the_recipe_can_be_shown(capsys) -> None:
    assert run(["train", "llm", "train.steps=3", "--show"]) == 0
    shown = capsys.readouterr().out
    assert 'system = "llm"' in shown and "steps = 3" in shown and "valid = 0.02" in shown


def test_ways_to_say_it(capsys, tmp_path: Path, monkeypatch) -> None:
    tiny = [
        "codec.data.stories=30", "codec.model.vocabulary=420", "codec.train.steps=1",
        "predictor.data.stories=10", "predictor.objective.vector_steps=1",
        "predictor.train.steps=1",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--recipe", "mini", "--show"]) == 0
    captured = capsys.readouterr()
    assert 'system = "model"' in captured.out and "sonar-llm train mini" in captured.err
    assert run(["train", "mini", *tiny, "--device", "cpu", "--threads", "1"]) == 0
    assert capsys.readouterr().out == "runs/mini/model\n"
    for words in (["train"], ["train", "hmm"], ["train", "mini", "steps=3"]):
        assert run(words) == 2
        assert capsys.readouterr().err.count("\n") in (1, 3)


def test_a_damaged_corpus_is_named_with_the_remedy(capsys, tmp_path: Path) -> None:
    """And a log is gone on with, whatever lies in it."""
    out = tmp_path / "run"
    assert _train(capsys, out, "lcm-mse", "--quiet")[0] == 0
    for name in ("corpus.json", "vectors.npy", "tokens.npy", "train.npy"):
        file = out / "corpus" / name
        whole = file.read_bytes()
        for wrong in (b"", b"\xff\x00" * 900, whole[: len(whole) // 2]):
            file.write_bytes(wrong)
            status, printed, told = _train(capsys, out, "lcm-mse", "--quiet")
            assert (status, printed) == (1, "")
            assert told == (
                f"sonar-llm: {file} is damaged: delete {file.parent}, and it is made anew\n"
            )
        file.write_bytes(whole)
    (out / "log.jsonl").write_bytes(b"\xff\n5\n{}\n" + (out / "log.jsonl").read_bytes())
    status, _, told = _train(capsys, out, "lcm-mse", "--quiet")
    assert (status, told) == (0, "") and [line["step"] for line in _log(out)] == [3, 6]
