"""The recipe from the story world to a model that loads, with a few steps of everything."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.mini import recipe
from sonar_cli.model.codec.tokenizer import UNK, Tokenizer
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import GenerationOptions, ModelRequest, Runtime
from sonar_cli.pipeline import generate
from sonar_cli.training import codec
from sonar_cli.world import stories as world

SIZES = recipe.Sizes(
    codec_stories=40,
    predictor_stories=10,
    vocabulary=420,
    codec_steps=3,
    codec_batch=8,
    predictor_batch=2,
    vector_steps=2,
    sentence_steps=2,
    probe=5,
)
OBJECTIVES = [
    (codec, "reconstruction_loss"),
    (recipe, "next_vector_loss"),
    (recipe, "next_sentence_loss"),
]
STRANGE = ["Zoë 漢字 🙂", "#x% <y>", "שלום", "\U0001f468‍\U0001f469", "3.14159", "é" * 30]


def _train(folder: Path, sizes: recipe.Sizes = SIZES, **more: Any) -> Path:
    return recipe.train(folder, device="cpu", threads=1, progress=False, sizes=sizes, **more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    _train(folder)
    return folder


@pytest.fixture(scope="module")
def model(trained: Path) -> SonarLLMSystem:
    return load_system(resolve(ModelRequest(str(trained / "model"))), Runtime("cpu", "float32"))


def _weights(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "model").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_what_comes_out_loads_and_writes(model: SonarLLMSystem) -> None:
    assert model.codec.tokenizer.languages == ("eng_Latn",)
    assert model.predictor.config.add_begin
    assert model.predictor.config.summary_cue == SUMMARY_CUE
    options = GenerationOptions(sentences=2, beam_size=1, max_tokens=8)
    steps = list(generate(model, ["One day Lily found a kite."], options))
    assert steps[-1].stop_reason is not None


def test_every_file_of_the_layout(trained: Path) -> None:
    halves = [f"model/{part}/{file}" for part in ("encoder", "decoder", "predictor")
              for file in ("config.json", "model.safetensors")]  # fmt: skip
    pieces = ["model/tokenizer/sentencepiece.bpe.model", "model/tokenizer/tokenizer_config.json"]
    assert sorted(_weights(trained)) == sorted(halves + pieces)
    assert not list(trained.rglob("*.partial"))


def test_the_real_sizes_fit_the_package(model: SonarLLMSystem) -> None:
    """At most 16 MB with the tokenizer; only the two embeddings depend on the vocabulary."""
    halves = (model.codec.encoder, model.codec.decoder, model.predictor)
    parameters = sum(p.numel() for half in halves for p in half.parameters())
    more = recipe.Sizes().vocabulary + 5 - model.codec.tokenizer.vocab_size
    parameters += 2 * recipe.WIDTH * more
    assert 2 * parameters < 15_700_000


def test_any_text_has_pieces(trained: Path) -> None:
    tokenizer = Tokenizer.load(trained / "tokenizer")
    for text in STRANGE:
        ids = tokenizer.source(text, recipe.LANG)
        assert UNK not in ids
        assert tokenizer.decode(ids) == text


def test_the_tokenizer_is_deterministic(trained: Path, tmp_path: Path) -> None:
    codec.train_tokenizer(tmp_path, recipe._sentences(SIZES, 0), SIZES.vocabulary)
    name = "sentencepiece.bpe.model"
    assert (tmp_path / name).read_bytes() == (trained / "tokenizer" / name).read_bytes()


def test_the_codec_reads_the_world_its_marks_and_a_little_else() -> None:
    texts = recipe._sentences(SIZES, 0)
    told = list(world.stories(SIZES.codec_stories))
    sentences = set(chain.from_iterable(each.sentences + each.summary for each in told))
    assert sentences < set(texts)
    assert texts.count(BEGIN_SENTENCE) == texts.count(END_SENTENCE) >= 1
    other = [text for text in texts if text not in sentences | {BEGIN_SENTENCE, END_SENTENCE}]
    assert 0.04 < len(other) / len(texts) < 0.06
    assert texts == recipe._sentences(SIZES, 0) != recipe._sentences(SIZES, 1)


def test_a_sentence_that_stories_share_comes_as_often_as_the_root_of_their_number() -> None:
    sizes = replace(SIZES, codec_stories=200)
    told = Counter(chain.from_iterable(s.sentences + s.summary for s in world.stories(200)))
    shared, count = told.most_common(1)[0]
    assert count >= 9
    assert recipe._sentences(sizes, 0).count(shared) == math.isqrt(count)


def test_the_predictor_reads_whole_stories_and_every_second_ones_summary() -> None:
    stories = recipe._Stories.of(world.stories(4))
    # a text's number, in each direction, as its vector
    vectors = torch.arange(1, len(stories.texts) + 1)[:, None] * torch.tensor([1.0, -1.0])
    given, mask, following = stories.batch(np.array([1, 2]), vectors, torch.device("cpu"))
    expected = [
        recipe._document(world.story(1), with_summary=True),
        recipe._document(world.story(2), with_summary=False),
    ]
    for row, (sentences, _) in enumerate(expected):
        numbers = [stories.texts.index(text) + 1 for text in sentences]
        assert given[row, mask[row]].tolist() == [[number, -number] for number in numbers]
    assert not given[~mask].any()
    after = [text for _, texts in expected for text in texts]
    assert [stories.texts[number] for number in following] == after
    assert len(set(stories.texts)) == len(stories.texts)


@pytest.mark.parametrize("with_summary", [False, True])
def test_what_follows_is_the_next_sentence_or_the_end(with_summary: bool) -> None:
    """After a story comes its end, cue or no cue; after the cue its summary, and the end again."""
    story = world.story(3)
    given, following = recipe._document(story, with_summary)
    pairs = dict(zip(given, following, strict=True))
    assert pairs[BEGIN_SENTENCE] == story.sentences[0]
    assert pairs[story.sentences[-1]] == END_SENTENCE
    assert [pairs[each] for each in story.sentences[:-1]] == list(story.sentences[1:])
    if with_summary:
        assert pairs[SUMMARY_CUE] == story.summary[0]
        assert pairs[story.summary[-1]] == END_SENTENCE
    assert (SUMMARY_CUE in given) == with_summary


def test_a_second_run_does_nothing_again(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _weights(trained)

    def never(*_: object, **__: object) -> Tensor:
        raise AssertionError("trained again")

    for room, objective in OBJECTIVES:
        monkeypatch.setattr(room, objective, never)
    _train(trained)
    assert _weights(trained) == before


def _all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _assert_refused(folder: Path, message: str, *sizes: recipe.Sizes, **more: Any) -> None:
    before = _all_files(folder)
    with pytest.raises(UsageError) as refused:
        _train(folder, *sizes, **more)
    assert str(refused.value) == message
    assert _all_files(folder) == before


def test_other_sizes_and_another_seed_are_refused(trained: Path) -> None:
    same = "give the same recipe, another folder, or --no-resume to start anew"
    other = replace(SIZES, codec_rate=1e-3, sentence_steps=9)
    different = "codec_rate 0.002, not 0.001; sentence_steps 2, not 9"
    _assert_refused(trained, f"{trained} was made with {different}: {same}", other)
    with pytest.raises(UsageError, match=r"with seed 0, not 1; texts blake2b:\w+, not blake2b"):
        _train(trained, seed=1)


def test_other_text_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that tells other stories leaves no size different."""
    old = json.loads((trained / "recipe.json").read_text())["data"]["texts"]
    monkeypatch.setattr(recipe, "_sentences", lambda *_: ["One day."])
    message = f"{trained} was made with texts {old}, not {recipe.digest(['One day.'])}: "
    message += "give the same recipe, another folder, or --no-resume to start anew"
    _assert_refused(trained, message)


@pytest.mark.parametrize("content", ["{}", '{"sizes": 3, "data": []}'])
def test_a_record_that_lacks_values_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(UsageError, match=r"made with no codec_stories, now 40; .*; and \d+ more: "):
        _train(tmp_path)


def test_the_probe_only_measures_and_may_change(trained: Path) -> None:
    before = _weights(trained)
    _train(trained, replace(SIZES, probe=3))
    assert _weights(trained) == before


@pytest.mark.parametrize("stage", ["tokenizer", "codec", "predictor", "model"])
def test_output_without_a_record_is_refused(stage: str, tmp_path: Path) -> None:
    (tmp_path / stage).mkdir()
    (tmp_path / stage / "file").write_text("from an older version")
    advice = "give another folder, or --no-resume to start anew"
    _assert_refused(tmp_path, f"nothing tells what {tmp_path} was made with: {advice}")


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("codec", {"noise": 0.5}),
        ("codec", {"codec_batch": 4}),
        ("predictor/vectors", {"predictor_batch": 3}),
        ("predictor/sentences", {"sentence_rate": 0.5}),
    ],
)
def test_each_checkpoint_knows_its_part(
    stage: str, change: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    """Even with a `recipe.json` that claims the other sizes."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    sizes = replace(SIZES, **change)
    record = recipe._record(sizes, 0, recipe._sentences(sizes, 0))
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    [(name, value)] = change.items()
    known = "lr" if name == "sentence_rate" else name
    different = f"{known} {getattr(SIZES, name)}, not {value}: "
    with pytest.raises(UsageError) as refused:
        _train(tmp_path, sizes)
    message = f"{tmp_path / stage / 'checkpoint.pt'} was made with {different}"
    assert str(refused.value).startswith(message)


def test_other_vectors_are_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "predictor" / "vectors.pt"
    vectors = torch.load(file)
    vectors[0, 0] += 1
    torch.save(vectors, file)
    with pytest.raises(UsageError, match=r"made with vectors blake2b:\w+, not blake2b:\w+: give"):
        _train(tmp_path)


def test_no_resume_takes_other_sizes(trained: Path, tmp_path: Path) -> None:
    _train(tmp_path, replace(SIZES, vocabulary=400), seed=3)
    _train(tmp_path, resume=False)
    assert _weights(tmp_path) == _weights(trained)
    _train(tmp_path)


def test_no_resume_that_is_cut_short_leaves_nothing_to_reuse(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)

    def stopped(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path, resume=False, seed=1)
    monkeypatch.undo()
    for seed in (0, 1):
        with pytest.raises(UsageError, match="nothing tells what"):
            _train(tmp_path, seed=seed)


def test_no_resume_makes_everything_anew(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "sentencepiece.bpe.model").write_bytes(b"from another run")
    _train(tmp_path, resume=False)
    assert _weights(tmp_path) == _weights(trained)


@pytest.mark.parametrize(("room", "stage"), [*OBJECTIVES, (recipe, "_vectors")])
def test_stopped_anywhere_it_ends_with_the_same_weights(
    room: ModuleType, stage: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = getattr(room, stage), iter(range(2))

    def stopped(*args: object, **kwargs: object) -> Tensor:
        # vectors are made once: stop before; a loss is stopped at its second step
        if next(calls) == (stage != "_vectors"):
            raise KeyboardInterrupt
        return plain(*args, **kwargs)

    monkeypatch.setattr(room, stage, stopped)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path)
    assert not (tmp_path / "model").exists()
    monkeypatch.undo()
    torch.randn(5)  # whatever the process drew in between
    _train(tmp_path)
    assert _weights(tmp_path) == _weights(trained)
