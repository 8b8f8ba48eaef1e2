"""Beam search with fairseq2's exact semantics, over a `step` callable. Knows no model.

Source: `fairseq2.generation.beam_search` (0.8.1), the search that sonar-space decodes with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

# step(ids, rows): ids (R, S) are the newest tokens of R hypotheses; row i continues row rows[i] of
# the call before (None on the first call). Returns logits (R, S, V).
Step = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Hypothesis:
    """A finished sentence: its ids after the prefix, eos included, and its normalized score."""

    ids: tuple[int, ...]
    score: float


@dataclass
class _Beam:
    """One text's share of the rows, and what it has finished."""

    rows: int = 1
    finished: list[Hypothesis] = field(default_factory=list)


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
    texts, start = prefix.shape
    if start >= max_len:
        raise ValueError(f"a prefix of {start} tokens needs max_len above {start}, not {max_len}")
    beams = [_Beam() for _ in range(texts)]
    ids = prefix
    lprobs = _log_softmax(step(prefix, None))  # (N, P, V)
    scores = lprobs[:, :-1].gather(2, prefix[:, 1:, None]).sum(dim=(1, 2))  # (N,)
    lprobs = lprobs[:, -1]
    for position in range(start, max_len):
        _forbid(lprobs, eos if position == max_len - 1 else None, pad)
        rows, tokens, scores = _advance(
            beams, ids, lprobs + scores[:, None], beam_size, eos, position**length_penalty
        )
        if len(rows) == 0 or position == max_len - 1:
            break
        ids = torch.cat([ids[rows], tokens[:, None]], dim=1)
        lprobs = _log_softmax(step(tokens[:, None], rows))[:, -1]
    return [_best_first(beam.finished, start) for beam in beams]


def _log_softmax(logits: Tensor) -> Tensor:
    lprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    if lprobs.isnan().any():
        raise ValueError("the decoder gave NaN; the vectors or the weights are broken")
    return lprobs


def _forbid(lprobs: Tensor, only: int | None, pad: int) -> None:
    """Never pad; at the last position only eos. Changes lprobs (R, V) in place."""
    if only is None:
        lprobs[:, pad] = -torch.inf
        return
    kept = lprobs[:, only].clone()
    lprobs.fill_(-torch.inf)
    lprobs[:, only] = kept


def _advance(
    beams: list[_Beam], ids: Tensor, totals: Tensor, beam_size: int, eos: int, norm: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Finish and extend every text's hypotheses by one token.

    Totals (R, V) are running scores. Returns the surviving hypotheses: their rows, tokens and
    scores, each (R',).
    """
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    offset = 0
    vocab = totals.shape[1]
    for beam in beams:
        if not beam.rows:
            continue
        scores, flat = (
            totals[offset : offset + beam.rows].reshape(-1).topk(min(2 * beam_size, vocab))
        )
        rows, tokens = flat // vocab + offset, flat % vocab
        offset += beam.rows
        is_eos = tokens == eos
        _finish(beam, ids, rows, scores, is_eos.tolist()[:beam_size], beam_size, eos, norm)
        if len(beam.finished) >= beam_size:
            beam.rows = 0
            continue
        # Every eos among the candidates is passed over, finished or not.
        live = (~is_eos).nonzero().squeeze(1)[:beam_size]
        beam.rows = len(live)
        kept.append((rows[live], tokens[live], scores[live]))
    if not kept:
        empty = ids.new_empty(0)
        return empty, empty, totals.new_empty(0)
    rows, tokens, scores = (torch.cat(part) for part in zip(*kept, strict=True))
    return rows, tokens, scores


def _finish(
    beam: _Beam,
    ids: Tensor,
    rows: Tensor,
    scores: Tensor,
    is_eos: list[bool],
    beam_size: int,
    eos: int,
    norm: float,
) -> None:
    """Move the first `beam_size` candidates that are eos to the finished ones."""
    for i, ended in enumerate(is_eos):
        if ended and len(beam.finished) < beam_size:
            sentence = (*ids[rows[i]].tolist(), eos)
            beam.finished.append(Hypothesis(sentence, float(scores[i] / norm)))


def _best_first(finished: list[Hypothesis], prefix_len: int) -> list[Hypothesis]:
    ordered = sorted(finished, key=lambda hypothesis: hypothesis.score, reverse=True)
    return [Hypothesis(h.ids[prefix_len:], h.score) for h in ordered]
