"""The recipe from the story world to a model that loads, with a few steps of everything."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sonar_cli.hub.resolve import resolve
from sonar_cli.mini import recipe
from sonar_cli.model.codec.tokenizer import UNK, Tokenizer
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import GenerationOptions, ModelRequest, Runtime
from sonar_cli.pipeline import generate
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
STRANGE = ["Zoë 漢字 🙂", "#x% <y>", "שלום", "\U0001f468‍\U0001f469", "3.14159", "é" * 30]


def _train(folder: Path, **more: bool) -> Path:
    return recipe.train(folder, device="cpu", threads=1, progress=False, sizes=SIZES, **more)


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
    recipe._tokenizer(tmp_path, recipe._sentences(SIZES, 0), SIZES)
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

    for objective in ("reconstruction_loss", "next_vector_loss", "next_sentence_loss"):
        monkeypatch.setattr(recipe, objective, never)
    _train(trained)
    assert _weights(trained) == before


def test_no_resume_makes_everything_anew(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "sentencepiece.bpe.model").write_bytes(b"from another run")
    _train(tmp_path, resume=False)
    assert _weights(tmp_path) == _weights(trained)


@pytest.mark.parametrize(
    "stage", ["reconstruction_loss", "_vectors", "next_vector_loss", "next_sentence_loss"]
)
def test_stopped_anywhere_it_ends_with_the_same_weights(
    stage: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = getattr(recipe, stage), iter(range(2))

    def stopped(*args: object, **kwargs: object) -> Tensor:
        # vectors are made once: stop before; a loss is stopped at its second step
        if next(calls) == (stage != "_vectors"):
            raise KeyboardInterrupt
        return plain(*args, **kwargs)

    monkeypatch.setattr(recipe, stage, stopped)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path)
    assert not (tmp_path / "model").exists()
    monkeypatch.undo()
    torch.randn(5)  # whatever the process drew in between
    _train(tmp_path)
    assert _weights(tmp_path) == _weights(trained)
