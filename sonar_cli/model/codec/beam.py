"""Beam search with fairseq2's exact semantics, over a `step` callable. Knows no model.

Source: `fairseq2.generation.beam_search` (0.8.1), the search that sonar-space decodes with. All
texts advance together in a few tensor operations that never look at a value, so that on a GPU
nothing waits; only `done` does, to let finished texts go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# step(ids, rows): ids (R, S) are the newest tokens of R hypotheses; row i continues row rows[i] of
# the call before (None on the first call). Returns logits (R, S, V).
Step = Callable[[Tensor, Tensor | None], Tensor]

# Above this, the best of a row are looked for among the blocks with the largest maxima.
_WIDE = 16_384
_BLOCK = 512


@dataclass(frozen=True)
class Hypothesis:
    """A finished sentence: its ids after the prefix, eos included, and its normalized score."""

    ids: tuple[int, ...]
    score: float


def beam_search(
    step: Step,
    prefix: Tensor,
    *,
    beam_size: int,
    max_len: int,
    eos: int,
    pad: int,
    length_penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    """Search the best continuations of `prefix` (N, P) int64; best first for each of the N texts.

    `max_len` counts the prefix and eos. The running score starts with the log-probability of the
    prefix's tokens after the first. A finished hypothesis scores its sum divided by
    `(length - 1) ** length_penalty`, its length counting prefix and eos. A text is done when
    `beam_size` hypotheses have finished. Raises ValueError when the prefix leaves no room, or
    when the logits hold NaN.
    """
    start = prefix.shape[1]
    if start >= max_len:
        raise ValueError(f"a prefix of {start} tokens needs max_len above {start}, not {max_len}")
    beams = Beams(prefix, beam_size, max_len, eos, pad, length_penalty)
    found: list[list[Hypothesis]] = [[] for _ in range(len(prefix))]
    texts = list(range(len(prefix)))
    logits = step(prefix, None)
    beams.score_prefix(logits)
    logits = logits[:, -1]
    for position in range(start, max_len):
        last = position == max_len - 1
        rows, tokens = beams.advance(logits, last)
        done = [last or each for each in beams.done()]
        for i in (i for i, ended in enumerate(done) if ended):
            found[texts[i]] = beams.best_first(i)
        if all(done):
            break
        if any(done):
            going = [i for i, ended in enumerate(done) if not ended]
            texts = [texts[i] for i in going]
            rows, tokens = beams.keep(going, rows), tokens.view(len(done), -1)[going].view(-1)
        logits = step(tokens[:, None], rows)[:, -1]
    return found


class Beams:
    """The hypotheses of N texts, B rows each, and the sentences that have finished.

    A row without a hypothesis has the score -inf: there are such rows where the vocabulary is
    smaller than twice the beam, and before the first token where more than one row begins. What
    keeps its shape keeps its memory.
    """

    def __init__(
        self,
        prefix: Tensor,
        beam_size: int,
        max_len: int,
        eos: int,
        pad: int,
        penalty: float = 1.0,
        rows: int = 1,
    ) -> None:
        texts, start = prefix.shape
        self.beam_size, self.eos, self.pad, self.penalty = beam_size, eos, pad, penalty
        self.start = start
        self.position = torch.tensor([start], device=prefix.device)
        self.ids = prefix.new_full((texts, rows, max_len), pad)  # (N, rows, max_len)
        self.scores = torch.zeros(texts, rows, device=prefix.device)  # running sums
        # One place more than needed takes what comes after a text is done.
        self.finished_ids = prefix.new_full((texts, beam_size + 1, max_len), pad)
        self.finished_scores = self.scores.new_full((texts, beam_size + 1), -torch.inf)
        self.count = prefix.new_zeros(texts)
        self.begin(prefix)

    def begin(self, prefix: Tensor) -> None:
        """Begin anew with a prefix (N, P) of the same shape."""
        self.position.fill_(self.start)
        self.ids[:, :, : self.start] = prefix[:, None]
        self.finished_scores.fill_(-torch.inf)
        self.count.zero_()

    def score_prefix(self, logits: Tensor) -> None:
        """Begin each text's sum with the prefix's tokens after the first; logits (N, P, V)."""
        lprobs = logits[:, :-1].float().log_softmax(-1)
        following = self.ids[:, 0, 1 : self.start, None]
        self.scores.fill_(-torch.inf)
        self.scores[:, 0] = lprobs.gather(2, following).sum(dim=(1, 2))

    def advance(self, logits: Tensor, last: bool = False) -> tuple[Tensor, Tensor]:
        """Finish and extend every text's hypotheses by one token.

        Logits (N * rows, V) follow the newest tokens; at the `last` position only eos may come.
        Returns which of those rows each of the N * B new ones continues, and its token.
        """
        texts, width = self.scores.shape
        totals, rows, tokens = self._candidates(logits, last)  # each (N, 2 * B) or fewer
        is_eos = tokens == self.eos
        self._finish(totals, rows, is_eos)
        # Every eos among the candidates is passed over, finished or not.
        live = is_eos.to(torch.uint8).argsort(dim=1, stable=True)[:, : self.beam_size]
        empty = is_eos.gather(1, live)
        self._put("scores", totals.gather(1, live).masked_fill(empty, -torch.inf))
        rows, tokens = rows.gather(1, live), tokens.gather(1, live)
        self._put("ids", self.ids.gather(1, rows[:, :, None].expand(-1, -1, self.ids.shape[2])))
        self.ids.index_copy_(2, self.position, tokens[:, :, None])
        self.position += 1
        first = torch.arange(0, texts * width, width, device=rows.device)[:, None]
        return (rows + first).view(-1), tokens.view(-1)

    def done(self) -> list[bool]:
        """Tell which texts have finished; ValueError when their logits held NaN."""
        if bool(self.scores.isnan().any()):
            raise ValueError("the decoder gave NaN; the vectors or the weights are broken")
        ended: list[bool] = (self.count >= self.beam_size).tolist()
        return ended

    def keep(self, texts: list[int], rows: Tensor) -> Tensor:
        """Go on with these texts only; return their part of `rows`."""
        at = torch.tensor(texts, device=rows.device)
        rows = rows.view(len(self.ids), -1)[at].view(-1)
        for name in ("ids", "scores", "finished_ids", "finished_scores", "count"):
            setattr(self, name, getattr(self, name)[at])
        return rows

    def best_first(self, text: int) -> list[Hypothesis]:
        """Return a text's finished hypotheses, the best first."""
        count = int(self.count[text])
        ids = self.finished_ids[text, :count, self.start :].tolist()
        scores = self.finished_scores[text, :count].tolist()
        finished = [
            Hypothesis(tuple(row[: row.index(self.eos) + 1]), score)
            for row, score in zip(ids, scores, strict=True)
        ]
        return sorted(finished, key=lambda hypothesis: hypothesis.score, reverse=True)

    def _candidates(self, logits: Tensor, last: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best continuations, best first: running scores, rows of the text, tokens."""
        texts, width = self.scores.shape
        count = min(2 * self.beam_size, logits.shape[1])
        logits = logits.float()
        norm = _log_norm(logits)
        # The norm is over all tokens, whatever is forbidden.
        if last:
            only = logits[:, self.eos].clone()
            logits = torch.full_like(logits, -torch.inf)
            logits[:, self.eos] = only
        else:
            logits[:, self.pad] = -torch.inf
        if logits.shape[1] > _WIDE:
            values, tokens = _top(logits, count)
        else:
            values = logits
            tokens = torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
        per_row = values.shape[1]
        totals = (values - norm).view(texts, width, per_row) + self.scores[:, :, None]
        best, flat = totals.view(texts, -1).topk(count)
        return best, flat // per_row, tokens.reshape(texts, -1).gather(1, flat)

    def _finish(self, totals: Tensor, rows: Tensor, is_eos: Tensor) -> None:
        """Move the first B candidates that are eos to the finished ones, while there is room."""
        totals, rows, is_eos = (each[:, : self.beam_size] for each in (totals, rows, is_eos))
        ended = is_eos & (totals > -torch.inf)
        place = self.count[:, None] + ended.cumsum(1) - 1
        place = place.masked_fill(~ended, self.beam_size).clamp(max=self.beam_size)
        across = (-1, -1, self.ids.shape[2])
        sentences = self.ids.gather(1, rows[:, :, None].expand(across))
        sentences.index_fill_(2, self.position, self.eos)
        self.finished_ids.scatter_(1, place[:, :, None].expand(across), sentences)
        self.finished_scores.scatter_(1, place, totals / self.position**self.penalty)
        self.count += ended.sum(1)
        self.count.clamp_(max=self.beam_size)

    def _put(self, name: str, value: Tensor) -> None:
        kept: Tensor = getattr(self, name)
        if kept.shape == value.shape:
            kept.copy_(value)
        else:
            setattr(self, name, value)


def _log_norm(logits: Tensor) -> Tensor:
    """Return the log of each row's sum of exponentials, logits (R, V) -> (R, 1).

    On the CPU row by row: what is computed on the way stays in the caches, where all rows at once
    would fill a second array of the logits' size.
    """
    parts = [logits] if logits.is_cuda else logits.split(1)
    return torch.cat([part.logsumexp(1, keepdim=True) for part in parts])


def _top(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return each row's `count` largest of logits (R, V): values and columns, in no order.

    They lie in the `count` blocks with the largest maxima, so one quick pass over the row is
    enough where topk would make several.
    """
    if logits.is_cuda:
        best = logits.topk(count)
        return best.values, best.indices
    blocks = logits.shape[1] // _BLOCK
    whole = logits[:, : blocks * _BLOCK].unflatten(1, (blocks, _BLOCK))
    largest = whole.amax(2).topk(min(count, blocks)).indices  # (R, count)
    columns = (largest[:, :, None] * _BLOCK + torch.arange(_BLOCK)).flatten(1)
    rest = torch.arange(blocks * _BLOCK, logits.shape[1]).expand(len(logits), -1)
    columns = torch.cat([columns, rest], dim=1)
    values, at = logits.gather(1, columns).topk(count)
    return values, columns.gather(1, at)
