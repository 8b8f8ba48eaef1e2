"""The story of a summary, with `mini`: what is chosen, what is written, and what supports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import torch
from torch import Tensor

from sonar_cli.errors import InputError
from sonar_cli.hub.catalogue import summary_training
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import Runtime, Step, Summary, SummaryOptions
from sonar_cli.summary import writing
from sonar_cli.summary.choosing import choose
from sonar_cli.summary.document import Document, read
from sonar_cli.summary.plan import Plan, make_plan, reading_parts, wanted
from sonar_cli.summary.salience import salience
from sonar_cli.summary.summarize import summarize
from sonar_cli.summary.vectors import Encoding
from sonar_cli.text.documents import Passage, passages
from sonar_cli.world import stories as world

STORIES = list(world.stories(4, 77, held_out=True))


@pytest.fixture(scope="module")
def model() -> SonarLLMSystem:
    return load_system(resolve(), Runtime("cpu"))


def _read(model: SonarLLMSystem, text: str | Iterable[Passage]) -> Document:
    given = passages(text, "text") if isinstance(text, str) else text
    return read(given, Encoding(model.codec, "eng_Latn"))


@pytest.fixture(scope="module")
def story(model: SonarLLMSystem) -> Document:
    return _read(model, " ".join(STORIES[0].sentences))


@pytest.fixture(scope="module")
def book(model: SonarLLMSystem) -> Document:
    return _read(model, "\n\n".join(" ".join(each.sentences) for each in STORIES))


def _planned(document: Document, options: SummaryOptions) -> Plan:
    training = summary_training("mini", resolve().predictor)
    return make_plan(document, options, training, "mini", lambda: False, lambda line: None)


def _summary(
    document: Document, model: SonarLLMSystem, method: str = "extractive", **more: object
) -> Summary:
    options = SummaryOptions(method=method, **more)  # type: ignore[arg-type]
    return summarize(document, model.codec, model, _planned(document, options), options)


def _texts(summary: Summary) -> list[str]:
    return [each.text for each in summary.sentences]


def test_extractive_sentences_are_the_texts_own_in_its_order(
    model: SonarLLMSystem, book: Document
) -> None:
    text = "\n\n".join(" ".join(each.sentences) for each in STORIES)
    found = _summary(book, model, sentences=6)
    assert len(found.sentences) == 6
    assert found.of == len(book)
    indices = []
    for each in found.sentences:
        (source,) = each.sources
        assert text[source.start : source.end] == each.text
        assert source.cosine == 1.0
        assert each.method == "extractive"
        indices.append(source.index)
    assert indices == sorted(set(indices))


def test_extractive_takes_the_best_by_salience_and_nothing_twice(model: SonarLLMSystem) -> None:
    sentences = [*STORIES[0].sentences, *STORIES[0].sentences]
    document = _read(model, " ".join(sentences))
    rows = choose(document.vectors, salience(document.vectors, sentences), 5)
    found = _summary(document, model, sentences=5)
    assert sorted(_texts(found)) == sorted(sentences[row] for row in rows)
    assert len(set(_texts(found))) == 5


@pytest.mark.parametrize("method", ["extractive", "abstractive", "hybrid"])
def test_a_text_no_longer_than_its_summary_comes_back_whole(
    model: SonarLLMSystem, method: str
) -> None:
    text = "Tom found a kite. Tom was sad. Tom went home."
    for count in (3, 9):
        found = _summary(_read(model, text), model, method=method, sentences=count)
        assert " ".join(_texts(found)) == text
        assert [each.sources[0].index for each in found.sentences] == [0, 1, 2]


def test_the_length_as_a_share(story: Document) -> None:
    assert len(story) == len(STORIES[0].sentences)
    for share, count in [(0.001, 1), (1.0, len(story)), (2 / len(story), 2), (2.2 / len(story), 3)]:
        assert wanted(story, SummaryOptions(share=share)) == count


def test_abstractive_is_what_a_summary_of_that_world_is(model: SonarLLMSystem) -> None:
    """Written after the cue, by itself as long as it should be, about who the story is about."""
    same = 0
    for story in world.stories(20, 99, held_out=True):
        document = _read(model, " ".join(story.sentences))
        texts = _texts(_summary(document, model, method="abstractive", sentences=5))
        assert texts
        same += tuple(texts) == story.summary
    assert same >= 15


def test_abstractive_stops_at_n(model: SonarLLMSystem) -> None:
    story = next(each for each in world.stories(50, 99) if len(each.summary) == 3)
    document = _read(model, " ".join(story.sentences))
    assert len(_summary(document, model, method="abstractive", sentences=1).sentences) == 1


def test_abstractive_sentences_cite_what_they_lean_on(
    model: SonarLLMSystem, story: Document
) -> None:
    for each in _summary(story, model, method="abstractive").sentences:
        assert each.method == "abstractive"
        assert 1 <= len(each.sources) <= 3
        vector = model.codec.encode([each.text])
        own = torch.cat(list(story.vectors.chunks()))
        cosines = torch.nn.functional.cosine_similarity(vector, own)
        best = max(source.cosine for source in each.sources)
        assert best == pytest.approx(float(cosines.max()), abs=2e-4)
        for source in each.sources:
            assert source.cosine == pytest.approx(float(cosines[source.index]), abs=2e-4)
        indices = [source.index for source in each.sources]
        assert indices == sorted(indices)


def test_hybrid_with_no_support_needed_is_abstractive(
    model: SonarLLMSystem, story: Document
) -> None:
    plain = _summary(story, model, method="abstractive")
    assert _summary(story, model, method="hybrid", support=0.0) == plain


def test_hybrid_with_all_support_needed_is_the_texts_own(
    model: SonarLLMSystem, story: Document
) -> None:
    plain = _summary(story, model, method="abstractive")
    found = _summary(story, model, method="hybrid", support=1.01)
    assert len(found.sentences) == len(plain.sentences)
    assert {each.method for each in found.sentences} == {"extractive"}
    assert set(_texts(found)) <= set(STORIES[0].sentences)


def test_hybrid_replaces_what_the_text_does_not_say(
    model: SonarLLMSystem, story: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence from another story is replaced in its place; a supported one stays."""
    own = STORIES[0].sentences[3]
    written = ["They ate pancakes on the moon with a purple whale.", own]
    _fake_writer(monkeypatch, [written])
    found = _summary(story, model, method="hybrid", sentences=2, support=0.8)
    assert [each.method for each in found.sentences] == ["extractive", "abstractive"]
    assert found.sentences[1].text == own
    assert found.sentences[0].text in set(STORIES[0].sentences) - {own}


def _fake_writer(monkeypatch: pytest.MonkeyPatch, of_parts: list[list[str]]) -> list[Tensor]:
    """Let the predictor write what is given; return the list of the prompts it is asked with."""
    asked: list[Tensor] = []

    def write_many(
        model: SonarLLMSystem, prompts: Iterable[Tensor], options: object, size: int
    ) -> Iterator[tuple[int, Step]]:
        for number, (prompt, texts) in enumerate(zip(prompts, of_parts, strict=True)):
            asked.append(prompt)
            for index, text in enumerate(texts):
                yield number, Step(index, text, 0.0, 1.0, 0.0)
            yield number, Step(None, None, 1.0, 1.0, 0.0, "end")

    monkeypatch.setattr(writing, "write_many", write_many)
    return asked


def test_a_long_text_is_written_in_parts_and_the_best_chosen(
    model: SonarLLMSystem, book: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SummaryOptions(method="abstractive", sentences=3)
    plan = _planned(book, options)
    of = reading_parts(book, plan.context)
    assert len(of) == len(STORIES)
    assert [len(part) for part in of] == [len(each.sentences) for each in STORIES]
    asked = _fake_writer(monkeypatch, [list(each.summary) for each in STORIES])
    found = summarize(book, model.codec, model, plan, options)
    assert len(found.sentences) == 3
    everything = [text for each in STORIES for text in each.summary]
    places = [everything.index(text) for text in _texts(found)]
    assert places == sorted(places)
    for part, prompt in zip(of, asked, strict=True):
        assert torch.equal(prompt[:-1], book.vectors.take(part))
        assert torch.equal(prompt[-1:], model.codec.encode([plan.cue]))
    for each in found.sentences:
        # what supports a sentence is looked for in the part that it was written from
        story = next(i for i, told in enumerate(STORIES) if each.text in told.summary)
        assert all(source.index in of[story] for source in each.sources)


def test_what_is_written_twice_is_said_once(
    model: SonarLLMSystem, book: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_writer(monkeypatch, [["Tom was sad.", "Tom was sad."]] * 3 + [["Tom ran.", ""]])
    found = _summary(book, model, method="abstractive", sentences=5)
    assert _texts(found) == ["Tom was sad.", "Tom ran."]


@pytest.mark.parametrize("method", ["abstractive", "hybrid"])
def test_a_model_that_writes_nothing_leaves_the_texts_own(
    model: SonarLLMSystem, story: Document, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    _fake_writer(monkeypatch, [[]])
    assert _summary(story, model, method=method) == _summary(story, model, method="extractive")


def test_only_prose_is_chosen_and_headings_are_known(model: SonarLLMSystem) -> None:
    kinds = ["heading", "prose", "code", "prose", "heading", "prose", "prose", "table"]
    text = STORIES[0].sentences
    given = [
        Passage(text[i], 10 * i, 10 * i + 9, i, kind)  # type: ignore[arg-type]
        for i, kind in enumerate(kinds)
    ]
    found = _summary(_read(model, given), model, sentences=4)
    assert [each.sources[0].index for each in found.sentences] == [1, 3, 5, 6]
    assert [each.heading for each in found.sentences] == [text[0]] * 2 + [text[4]] * 2


def test_a_text_without_prose_is_summed_up_from_what_it_has(model: SonarLLMSystem) -> None:
    given = [Passage(f"Part {i} of Tom.", 20 * i, 20 * i + 14, i, "heading") for i in range(5)]
    assert len(_summary(_read(model, given), model, sentences=2).sentences) == 2


def test_nothing_to_read_is_said(model: SonarLLMSystem) -> None:
    with pytest.raises(InputError, match="no sentence"):
        _read(model, [])


def test_the_texts_own_language_needs_no_decoder(
    model: SonarLLMSystem, story: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.codec, "decode", None)
    found = _summary(story, model, sentences=2, target_langs=("eng_Latn",))
    assert [each.texts for each in found.sentences] == [(each.text,) for each in found.sentences]
