"""Beam search against enumeration, and against a slow, literal copy of fairseq2's rules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Hypothesis, beam_search

PAD, EOS, LANG = 0, 1, 2
LETTERS = (3, 4, 5, 6)
PREFIX = (EOS, LANG)


class Table:
    """A language model by chance: logits depend on the text and on every token before.

    It remembers each row's history, as a cache would, so a wrong reordering shows. `ends` raises
    eos. `grid` rounds the logits, so that many are equal. Tokens beyond the letters are there
    only to make the vocabulary `size` long: all but impossible, as is an end after one of them.
    """

    def __init__(
        self,
        *seeds: int,
        size: int = len(LETTERS) + 3,
        ends: float = 0.0,
        grid: float | None = None,
    ) -> None:
        self.seeds, self.size, self.ends, self.grid = seeds, size, ends, grid
        self.rows: list[tuple[int, tuple[int, ...]]] = []
        self.widths: list[int] = []

    def __call__(self, ids: Tensor, rows: Tensor | None) -> Tensor:
        if rows is None:
            self.rows = [(seed, ()) for seed in self.seeds]
        else:
            self.rows = [self.rows[i] for i in rows.tolist()]
        assert len(ids) == len(self.rows)
        self.widths.append(len(ids))
        logits = torch.empty(*ids.shape, self.size)
        for row, new in enumerate(ids.tolist()):
            for place, token in enumerate(new):
                seed, history = self.rows[row]
                self.rows[row] = seed, (*history, token)
                logits[row, place] = self.logits(*self.rows[row])
        return logits

    def logits(self, seed: int, history: tuple[int, ...]) -> Tensor:
        random = torch.Generator().manual_seed(hash((seed, history)) % 2**31)
        logits = 2 * torch.randn(self.size, generator=random)
        logits[EOS] += self.ends
        if self.grid:
            logits = (logits / self.grid).round() * self.grid
        if self.size > len(LETTERS) + 3 and len(history) >= len(PREFIX):
            logits[[PAD, LANG, *range(7, self.size)]] -= 1e4
            if any(token not in LETTERS for token in history[2:]):
                logits[EOS] -= 2e4
        return logits

    def lprobs(self, seed: int, history: Sequence[int]) -> Tensor:
        return torch.log_softmax(self.logits(seed, tuple(history)), 0)


def _search(table: Table, beam: int, max_len: int, penalty: float = 1.0) -> list[list[Hypothesis]]:
    return beam_search(
        table,
        torch.tensor(PREFIX).expand(len(table.seeds), -1),
        beam_size=beam,
        max_len=max_len,
        eos=EOS,
        pad=PAD,
        length_penalty=penalty,
    )


def _all(table: Table, seed: int, max_len: int, letters: Sequence[int]) -> list[Hypothesis]:
    """Every sentence that fits, best first, with the documented score.

    That is the sum of the log-probabilities after the first token, by (length - 1).
    """
    found = []
    for count in range(max_len - len(PREFIX)):
        for sentence in product(letters, repeat=count):
            whole = (*PREFIX, *sentence, EOS)
            lprobs = [table.lprobs(seed, whole[:n])[whole[n]] for n in range(1, len(whole))]
            score = float(sum(lprobs)) / (len(whole) - 1)
            found.append(Hypothesis(whole[len(PREFIX) :], score))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def _literal(
    table: Table, seed: int, beam: int, max_len: int, penalty: float = 1.0
) -> list[Hypothesis]:
    """fairseq2's rules for one text, one candidate at a time.

    Source: `fairseq2.generation.beam_search.generator` 0.8.1, `_step` and `_search_beam`. Which
    of two equal candidates comes first is torch.topk's choice there, so it is here.
    """
    alive = [(PREFIX, table.lprobs(seed, PREFIX[:1])[LANG])]
    finished: list[Hypothesis] = []
    for position in range(len(PREFIX), max_len):
        totals = []
        for history, score in alive:
            lprobs = table.lprobs(seed, history)
            for token in range(table.size):
                last = position == max_len - 1
                allowed = token == EOS if last else token != PAD
                totals.append(score + lprobs[token] if allowed else torch.tensor(-torch.inf))
        best = torch.topk(torch.stack(totals), min(2 * beam, table.size))
        candidates = [
            (alive[index // table.size][0], index % table.size, score)
            for score, index in zip(best.values, best.indices.tolist(), strict=True)
        ]
        for history, token, score in candidates[:beam]:
            if token == EOS:
                ids = (*history[len(PREFIX) :], EOS)
                finished.append(Hypothesis(ids, float(score / position**penalty)))
                if len(finished) == beam:
                    return _sorted(finished)
        going = [candidate for candidate in candidates if candidate[1] != EOS]
        alive = [((*history, token), score) for history, token, score in going[:beam]]
    return _sorted(finished)


def _sorted(finished: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(finished, key=lambda hypothesis: -hypothesis.score)


def _same(ours: Sequence[Hypothesis], theirs: Sequence[Hypothesis]) -> None:
    assert [each.ids for each in ours] == [each.ids for each in theirs]
    scores = [each.score for each in theirs]
    assert [each.score for each in ours] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_every_sentence_of_two_tokens(seed: int) -> None:
    """Never more candidates than the vocabulary are kept, so this is as far as it is exhaustive."""
    table = Table(seed)
    (found,) = _search(table, beam=table.size, max_len=4)
    _same(found, _all(table, seed, 4, [LANG, *LETTERS]))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("max_len", [4, 5, 6])
def test_a_wide_beam_over_four_tokens_equals_enumeration(seed: int, max_len: int) -> None:
    table = Table(seed, size=240)
    (found,) = _search(table, beam=120, max_len=max_len)
    real = [each for each in found if each.score > -1e3]
    assert len(real) == sum(len(LETTERS) ** n for n in range(max_len - 2))
    _same(real, _all(table, seed, max_len, LETTERS))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("max_len", [3, 4, 7, 14])
def test_equals_the_literal_rules(seed: int, beam: int, max_len: int) -> None:
    table = Table(seed)
    _same(_search(table, beam, max_len)[0], _literal(table, seed, beam, max_len))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("beam", [1, 3, 4])
@pytest.mark.parametrize("grid", [1.5, 100.0])
def test_equal_candidates(seed: int, beam: int, grid: float) -> None:
    """A grid of 100 makes every token equally likely everywhere."""
    table = Table(seed, grid=grid)
    _same(_search(table, beam, 8)[0], _literal(table, seed, beam, 8))


@pytest.mark.parametrize("penalty", [0.0, 0.5, 2.0])
def test_length_penalty(penalty: float) -> None:
    for seed in range(8):
        table = Table(seed)
        _same(_search(table, 3, 9, penalty)[0], _literal(table, seed, 3, 9, penalty))


@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("max_len", [4, 25])
def test_batched_equals_one_by_one(beam: int, max_len: int) -> None:
    seeds = range(100, 116)
    table = Table(*seeds, ends=-0.5)
    together = _search(table, beam, max_len)
    alone, steps = [], set()
    for seed in seeds:
        single = Table(seed, ends=-0.5)
        alone += _search(single, beam, max_len)
        steps.add(len(single.widths))
    for ours, theirs in zip(together, alone, strict=True):
        assert ours == theirs
    if max_len == 25:
        assert len(steps) >= 4, "the texts should be done at different times"
        assert len(table.widths) == max(steps)


def test_finished_texts_cost_nothing() -> None:
    table = Table(*range(100, 116), ends=1.0)
    _search(table, 2, 40)
    assert table.widths[0] == 16
    assert max(table.widths) <= 32
    assert table.widths[-1] <= 4
    assert len(table.widths) < 38


@pytest.mark.parametrize("max_len", [3, 4, 6, 10])
def test_never_longer_than_the_limit(max_len: int) -> None:
    table = Table(*range(8), ends=-30.0)
    for found in _search(table, 4, max_len):
        assert found
        for each in found:
            assert len(PREFIX) + len(each.ids) == max_len
            assert each.ids[-1] == EOS
            assert PAD not in each.ids and EOS not in each.ids[:-1]


def test_the_language_counts_in_the_score() -> None:
    table = Table(7)
    (found,) = _search(table, 1, 3)
    lang = table.lprobs(7, PREFIX[:1])[LANG]
    end = table.lprobs(7, PREFIX)[EOS]
    assert found == [Hypothesis((EOS,), pytest.approx(float(lang + end) / 2, abs=1e-6))]


@pytest.mark.parametrize("max_len", [0, 1, 2])
def test_no_room_for_a_token(max_len: int) -> None:
    with pytest.raises(ValueError, match="2 tokens"):
        _search(Table(0), 3, max_len)


def test_nan_is_an_error() -> None:
    def step(ids: Tensor, rows: Tensor | None) -> Tensor:
        return torch.full((*ids.shape, 7), torch.nan)

    with pytest.raises(ValueError, match="NaN"):
        beam_search(step, torch.tensor([PREFIX]), beam_size=2, max_len=5, eos=EOS, pad=PAD)
