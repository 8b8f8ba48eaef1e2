"""Salience and choice against their definitions written out, and the store of vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import log, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.errors import CacheError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec
from sonar_cli.summary import cache, salience
from sonar_cli.summary.choosing import choose
from sonar_cli.summary.salience import length_of, nearest, parts
from sonar_cli.summary.terms import Terms
from sonar_cli.summary.vectors import Encoding, Vectors, packed
from sonar_cli.text.words import ContentWords
from sonar_cli.world import stories as world


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    return load_codec(resolve())


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    return [sentence for story in world.stories(12) for sentence in story.sentences]


@pytest.fixture(scope="module")
def encoded(codec: NativeCodec, sentences: list[str]) -> Tensor:
    return codec.encode(sentences)


def _plain_salience(vectors: Tensor, sentences: Sequence[str]) -> list[float]:
    """The definition with its n x n matrices."""
    words = [Counter(ContentWords("eng_Latn")(each)) for each in sentences]
    count = len(sentences)
    frequency = Counter(word for own in words for word in own)
    weights = [{w: n * log(1 + count / frequency[w]) for w, n in own.items()} for own in words]
    norms = [sqrt(sum(value**2 for value in own.values())) for own in weights]
    centred = F.normalize(vectors.double() - vectors.double().mean(0), dim=1)
    focus = max(frequency.values()) / count
    lengths = list(map(length_of, sentences))
    power = min(4.0, (1 - focus) * (74 / (sum(lengths) / count)) ** 3)
    found = []
    for i, sentence in enumerate(sentences):
        cosines = [
            sum(value * weights[j].get(w, 0) for w, value in weights[i].items())
            / (norms[i] * norms[j])
            + 0.1 * float(centred[i] @ centred[j])
            for j in range(count)
            if j != i
        ]
        length = (lengths[i] / max(lengths)) ** power
        question = 0.5 if sentence.rstrip("\"'").endswith("?") else 1
        found.append(sum(cosines) / (count - 1) * length * (1 + 0.7 / (i + 1)) * question)
    return found


def _plain_choice(vectors: Tensor, scores: Tensor, count: int) -> list[int]:
    unit = F.normalize(vectors, dim=1)
    chosen: list[int] = []
    while len(chosen) < min(count, len(unit)):
        best = max(
            (i for i in range(len(unit)) if i not in chosen),
            key=lambda i: (
                float(scores[i])
                * sqrt(
                    1 - max([float((unit[i] @ unit[j]).clamp(0, 1)) for j in chosen], default=0.0)
                )
            ),
        )
        chosen.append(best)
    return chosen


def test_salience_is_the_centrality_of_the_whole_matrix(
    encoded: Tensor, sentences: list[str]
) -> None:
    told = [*sentences[:40], 'Where is "the kite"?']
    vectors = torch.cat([encoded[:40], encoded[-1:]])
    found = salience.salience(Vectors.of(vectors), told)
    expected = torch.tensor(_plain_salience(vectors, told)).clamp_min(0).float()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pool", [1, 2, 7, 50, 4096])
def test_a_pool_chooses_what_looking_at_all_of_them_does(
    encoded: Tensor, sentences: list[str], pool: int
) -> None:
    vectors = Vectors.of(encoded)
    scores = salience.salience(vectors, sentences)
    chosen = choose(vectors, scores, 40, pool=pool)
    assert chosen == _plain_choice(encoded, scores, 40)
    assert sorted(choose(vectors, scores, 1_000, pool=pool)) == list(range(len(sentences)))


def test_what_is_taken_is_neither_chosen_nor_said_again(
    encoded: Tensor, sentences: list[str]
) -> None:
    vectors = Vectors.of(encoded)
    scores = salience.salience(vectors, sentences)
    plain = choose(vectors, scores, 10)
    assert choose(vectors, scores, 9, taken=plain[:1]) == plain[1:]
    everything = range(len(sentences))
    assert choose(vectors, scores, 3, taken=everything) == []


def test_the_nearest_of_pieces_are_the_nearest_of_all(
    encoded: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = Vectors.of(encoded)
    expected = (F.normalize(encoded, dim=1) @ F.normalize(encoded[:5], dim=1).T).T.topk(4)
    monkeypatch.setattr(Vectors, "chunks", lambda self: self._chunks_of_seven())
    monkeypatch.setattr(Vectors, "_chunks_of_seven", _chunks_of_seven, raising=False)
    found, rows = nearest(vectors, encoded[:5], 4)
    torch.testing.assert_close(found, expected.values)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert nearest(vectors, encoded[:1], 10_000)[1].shape == (1, len(encoded))


def _chunks_of_seven(self: Vectors) -> Sequence[Tensor]:
    return [self._read(start, min(7, len(self) - start)) for start in range(0, len(self), 7)]


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 6))
def test_parts_hold_every_sentence_once_and_are_short_enough(
    sizes: list[int], longest: int
) -> None:
    paragraphs = [number for number, size in enumerate(sizes) for _ in range(size)]
    found = parts(paragraphs, longest)
    assert [row for part in found for row in part] == list(range(len(paragraphs)))
    assert all(0 < len(part) <= longest for part in found)
    starts = {part.start for part in found}
    for number, size in enumerate(sizes):
        first = paragraphs.index(number)
        inside = starts & set(range(first + 1, first + size))
        assert not inside or size > longest


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.sampled_from([0, 64, 10**6]))
def test_vectors_are_the_same_in_memory_and_on_disk(sizes: list[int], in_memory: int) -> None:
    vectors = Vectors(3, in_memory=in_memory)
    blocks = [torch.rand(size, 3) for size in sizes]
    for block in blocks:
        vectors.append(block)
    everything = torch.cat([torch.empty(0, 3), *blocks])
    assert len(vectors) == len(everything)
    assert torch.equal(torch.cat([torch.empty(0, 3), *vectors.chunks(2)]), everything)
    rows = list(range(len(everything)))[::-2]
    assert torch.equal(vectors.take(rows), everything[rows])


class _Counting:
    """A codec that tells what it encodes."""

    def __init__(self, codec: NativeCodec) -> None:
        self.codec = codec
        self.width = codec.width
        self.asked: list[str] = []

    def encode(self, sentences: Sequence[str], lang: str) -> Tensor:
        self.asked += sentences
        return self.codec.encode(sentences, lang)


def _all(encoding: Encoding, sentences: Sequence[str]) -> Tensor:
    return torch.cat([vectors for _, vectors in encoding(sentences)])


def test_only_what_is_new_is_encoded(codec: NativeCodec, sentences: list[str], tmp_path) -> None:
    counting = _Counting(codec)
    expected = codec.encode(sentences)
    with cache.opened(tmp_path, 10**8) as store:
        first = _all(Encoding(counting, "eng_Latn", store, "mini"), sentences)
        assert sorted(counting.asked) == sorted(set(sentences))
        counting.asked.clear()
        again = _all(Encoding(counting, "eng_Latn", store, "mini"), sentences)
        assert counting.asked == []
        _all(Encoding(counting, "eng_Latn", store, "mini"), [*sentences, "Tom was new."])
        assert counting.asked == ["Tom was new."]
        counting.asked.clear()
        _all(Encoding(counting, "eng_Latn", store, "another codec"), sentences[:3])
        assert counting.asked == sentences[:3]
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(first, again)


def test_an_interrupted_run_goes_on_where_it_was(
    codec: NativeCodec, sentences: list[str], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonar_cli.summary.vectors._AT_ONCE", 10 * codec.width)
    counting = _Counting(codec)
    with cache.opened(tmp_path, 10**8) as store:
        pieces = Encoding(counting, "eng_Latn", store)(sentences)
        for _ in range(3):
            next(pieces)
    done = len(counting.asked)
    assert 0 < done <= 30
    with cache.opened(tmp_path, 10**8) as store:
        _all(Encoding(counting, "eng_Latn", store), sentences)
    assert len(counting.asked) == len(set(counting.asked))


class _Full:
    """A store on a disk that is full."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {}

    def put(self, entries: dict[bytes, bytes]) -> None:
        raise CacheError("database or disk is full")


def test_a_store_that_fails_is_said_once_and_costs_nothing(
    codec: NativeCodec, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonar_cli.summary.vectors._AT_ONCE", 10 * codec.width)
    said: list[str] = []
    found = _all(Encoding(codec, "eng_Latn", _Full(), "", said.append), sentences[:25])
    assert torch.equal(found, _all(Encoding(codec, "eng_Latn"), sentences[:25]))
    assert len(said) == 1
    assert "disk is full" in said[0]


def test_where_all_speak_of_one_thing_a_short_sentence_is_not_worse_for_its_length() -> None:
    vectors = Vectors.of(torch.zeros(3, 2))
    told = ["The kite flew.", "The kite flew over the old mill by noon.", "The kite flew."]
    scores = salience.salience(vectors, told)
    assert scores[2] > scores[1]


def test_without_a_list_of_function_words_frequent_ones_count_as_such() -> None:
    terms = Terms(["na kite ya", "na boat ya", "na kite wa"], "swh_Latn")
    assert terms.focus() == pytest.approx(1 / 3)
    assert terms.centrality().tolist() == [0, 0, 0]


def test_texts_without_a_content_word() -> None:
    terms = Terms(["It was.", "...", "And so it is."], "eng_Latn")
    assert terms.focus() == 0 and terms.centrality().tolist() == [0, 0, 0]
    assert choose(
        Vectors.of(torch.ones(3, 2)),
        salience.salience(Vectors.of(torch.ones(3, 2)), ["It was.", "...", "And so it is."]),
        1,
    ) == [2]


def _damage(raw: bytes) -> Iterator[object]:
    """Yield what damage makes of a stored vector."""
    yield bytes([raw[0] ^ 1]) + raw[1:]
    yield raw[:-1] + bytes([raw[-1] ^ 1])
    yield raw[:-4]
    yield raw[4:]
    yield b""
    yield "text"
    yield 5


def test_damaged_entries_are_made_anew_and_said_once(
    codec: NativeCodec, sentences: list[str], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonar_cli.summary.vectors._AT_ONCE", 10 * codec.width)
    few = list(dict.fromkeys(sentences))[:20]
    said: list[str] = []
    with cache.opened(tmp_path, 10**8) as store:
        first = _all(Encoding(codec, "eng_Latn", store, "mini"), few)
        keys = [cache.key("mini", "eng_Latn", each) for each in few]
        stored = store.get(keys)
        nan = torch.full((codec.width,), float("nan"))
        damaged = [*_damage(stored[keys[0]]), stored[keys[1]], packed(keys[8], nan)]
        store.put(dict(zip(keys, damaged, strict=False)))
        counting = _Counting(codec)
        again = _all(Encoding(counting, "eng_Latn", store, "mini", said.append), few)
        assert counting.asked == few[: len(damaged)]
        assert said == ["the cache of vectors has damaged entries; they are made anew"]
        torch.testing.assert_close(again, first, atol=1e-5, rtol=1e-4)
        _all(Encoding(counting, "eng_Latn", store, "mini"), few)
        assert len(counting.asked) == len(damaged)


def test_a_choice_by_nan_ends_at_once() -> None:
    salience = torch.tensor([1.0, float("nan"), 0.5])
    with pytest.raises(ValueError, match="no number"):
        choose(Vectors.of(torch.eye(3)), salience, 2)
