"""Beam search with fairseq2's exact semantics, over any function `step` that returns logits.

Source: `fairseq2.generation.beam_search` (0.8.1), the search that sonar-space decodes with. All
texts advance together by tensor operations that copy no value to the host, so that a GPU never has
to be waited for. Only `Beams.done` copies values, to find the texts that are finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# step(ids, rows) -> logits (R, S, V): ids (R, S) int64 are the newest tokens of R hypotheses. Row i
# continues row rows[i] of the previous call, rows (R,) int64; rows is None in the first call.
Step = Callable[[Tensor, Tensor | None], Tensor]

# Number of tokens above which the best logits of a vocabulary are found with `_top`.
_LARGE_VOCABULARY = 16_384
# Number of tokens in each of the blocks that `_top` compares.
_BLOCK = 512


class NotANumber(ValueError):
    """Logits that hold NaN, from which nothing follows."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished sentence: its ids after the prefix, eos included, and its normalized score.

    Of one that was drawn `chances` are the log-probabilities of the ids; a search does not keep
    them.
    """

    ids: tuple[int, ...]
    score: float
    chances: tuple[float, ...] = ()


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
    """Search the best continuations of `prefix` (N, P) int64: for each of N texts, best first.

    `max_len` counts the prefix and eos. The running score of a hypothesis is the sum of its tokens'
    log-probabilities, from the second token of the prefix on. A finished hypothesis scores that sum
    divided by `(length - 1) ** length_penalty`, where the length counts prefix and eos. A text is
    done when `beam_size` hypotheses have finished. Raises ValueError if `max_len` leaves no room
    after the prefix, and NotANumber if the logits hold NaN.
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
            # tokens: (N * B,) -> (N, B) -> those of the texts that go on, flat
            rows, tokens = beams.keep(going, rows), tokens.view(len(done), -1)[going].view(-1)
        logits = step(tokens[:, None], rows)[:, -1]
    return found


class Beams:
    """The running hypotheses of N texts, B = `beam_size` rows each, and the finished ones.

    A row without a hypothesis has the score -inf. Such rows exist if the vocabulary has fewer than
    2 * B tokens, and before the first new token if a text begins with several `rows`. Tensors are
    updated in place while their shapes match, so that a CUDA graph can replay the updates.
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
        self.position = torch.tensor([start], device=prefix.device)  # (1,), of the next token
        self.ids = prefix.new_full((texts, rows, max_len), pad)  # (N, rows, max_len)
        self.scores = torch.zeros(texts, rows, device=prefix.device)  # (N, rows)
        # The last of B + 1 slots receives what is to be discarded.
        self.finished_ids = prefix.new_full((texts, beam_size + 1, max_len), pad)
        self.finished_scores = self.scores.new_full((texts, beam_size + 1), -torch.inf)
        self.count = prefix.new_zeros(texts)  # (N,), finished hypotheses
        self.begin(prefix)

    def begin(self, prefix: Tensor) -> None:
        """Start a new search from a prefix (N, P) of the same shape."""
        self.position.fill_(self.start)
        self.ids[:, :, : self.start] = prefix[:, None]
        self.finished_scores.fill_(-torch.inf)
        self.count.zero_()

    def score_prefix(self, logits: Tensor) -> None:
        """Set the running scores from the prefix's logits (N, P, V), without its first token."""
        lprobs = logits[:, :-1].float().log_softmax(-1)
        following = self.ids[:, 0, 1 : self.start, None]  # (N, P - 1, 1)
        self.scores.fill_(-torch.inf)
        self.scores[:, 0] = lprobs.gather(2, following).sum(dim=(1, 2))

    def advance(self, logits: Tensor, last: bool = False) -> tuple[Tensor, Tensor]:
        """Extend the hypotheses of every text by one token; eos finishes a hypothesis.

        `logits` (N * rows, V) are those of the next token. At the `last` position only eos is
        allowed. Returns, for each of the N * B new rows, the old row that it continues and its new
        token, both (N * B,) int64.
        """
        texts, width = self.scores.shape
        totals, rows, tokens = self._candidates(logits, last)  # each (N, 2 * B) or fewer
        is_eos = tokens == self.eos
        self._finish(totals, rows, is_eos)
        # A candidate that is eos is never continued, even if it ranks too low to be finished.
        live = is_eos.to(torch.uint8).argsort(dim=1, stable=True)[:, : self.beam_size]  # (N, B)
        empty = is_eos.gather(1, live)
        self._put("scores", totals.gather(1, live).masked_fill(empty, -torch.inf))
        rows, tokens = rows.gather(1, live), tokens.gather(1, live)
        self._put("ids", self.ids.gather(1, rows[:, :, None].expand(-1, -1, self.ids.shape[2])))
        self.ids.index_copy_(2, self.position, tokens[:, :, None])
        self.position += 1
        first = torch.arange(0, texts * width, width, device=rows.device)[:, None]
        return (rows + first).view(-1), tokens.view(-1)  # (N, B) -> (N * B,)

    def done(self) -> list[bool]:
        """Tell for each text whether it is done. Raises NotANumber if its logits held NaN."""
        if bool(self.scores.isnan().any()):
            raise NotANumber("the decoder gave NaN; the vectors or the weights are broken")
        ended: list[bool] = (self.count >= self.beam_size).tolist()
        return ended

    def keep(self, texts: list[int], rows: Tensor) -> Tensor:
        """Drop all texts but these; return their part of `rows` (N * B,)."""
        at = torch.tensor(texts, device=rows.device)
        rows = rows.view(len(self.ids), -1)[at].view(-1)  # (N, B), then flat again
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
        """Return the 2 * B best continuations of every text, best first; at most V of them.

        Logits are (N * rows, V). Returns the running scores, the rows within the text and the
        tokens, each (N, 2 * B).
        """
        texts, width = self.scores.shape
        count = min(2 * self.beam_size, logits.shape[1])
        logits = logits.float()
        # As in fairseq2, log-probabilities are normalized before tokens are forbidden.
        norm = _log_norm(logits)
        if last:
            only = logits[:, self.eos].clone()
            logits = torch.full_like(logits, -torch.inf)
            logits[:, self.eos] = only
        else:
            logits[:, self.pad] = -torch.inf
        if logits.shape[1] > _LARGE_VOCABULARY:
            values, tokens = _top(logits, count)
        else:
            values = logits
            tokens = torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
        per_row = values.shape[1]
        # (N, rows, per_row), then flat (N, rows * per_row)
        totals = (values - norm).view(texts, width, per_row) + self.scores[:, :, None]
        best, flat = totals.view(texts, -1).topk(count)
        return best, flat // per_row, tokens.reshape(texts, -1).gather(1, flat)

    def _finish(self, totals: Tensor, rows: Tensor, is_eos: Tensor) -> None:
        """Finish those of the first B candidates that are eos, up to B hypotheses of a text."""
        # each (N, B)
        totals, rows, is_eos = (each[:, : self.beam_size] for each in (totals, rows, is_eos))
        ended = is_eos & (totals > -torch.inf)
        slot = self.count[:, None] + ended.cumsum(1) - 1
        slot = slot.masked_fill(~ended, self.beam_size).clamp(max=self.beam_size)
        across = (-1, -1, self.ids.shape[2])
        sentences = self.ids.gather(1, rows[:, :, None].expand(across))  # (N, B, max_len)
        sentences.index_fill_(2, self.position, self.eos)
        self.finished_ids.scatter_(1, slot[:, :, None].expand(across), sentences)
        self.finished_scores.scatter_(1, slot, totals / self.position**self.penalty)
        self.count += ended.sum(1)
        self.count.clamp_(max=self.beam_size)

    def _put(self, name: str, value: Tensor) -> None:
        """Set a tensor by name, in place if its shape is the same."""
        kept: Tensor = getattr(self, name)
        if kept.shape == value.shape:
            kept.copy_(value)
        else:
            setattr(self, name, value)


def _log_norm(logits: Tensor) -> Tensor:
    """Return the log-sum-exp of each row: logits (R, V) -> (R, 1).

    On the CPU each row is computed alone. Its intermediate values then fit in the processor's
    caches, while all rows at once would need a second array as large as the logits.
    """
    parts = [logits] if logits.is_cuda else logits.split(1)
    return torch.cat([part.logsumexp(1, keepdim=True) for part in parts])


def _top(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest logits (R, V) of each row, in any order: values and columns.

    On the CPU one pass over a row finds the `count` blocks with the largest maxima. Only these
    blocks and the rest after the last whole block are searched, because no other block can hold one
    of the values. `Tensor.topk` over the whole row would make several passes.
    """
    if logits.is_cuda:
        best = logits.topk(count)
        return best.values, best.indices
    blocks = logits.shape[1] // _BLOCK
    whole = logits[:, : blocks * _BLOCK].unflatten(1, (blocks, _BLOCK))  # (R, blocks, _BLOCK)
    largest = whole.amax(2).topk(min(count, blocks)).indices  # (R, count)
    # (R, count, _BLOCK) -> (R, count * _BLOCK)
    columns = (largest[:, :, None] * _BLOCK + torch.arange(_BLOCK)).flatten(1)
    rest = torch.arange(blocks * _BLOCK, logits.shape[1]).expand(len(logits), -1)
    columns = torch.cat([columns, rest], dim=1)
    values, at = logits.gather(1, columns).topk(count)
    return values, columns.gather(1, at)
