"""Sentences drawn token by token from the decoder's distribution, where beam search finds one."""

from __future__ import annotations

import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Hypothesis, NotANumber, Step
from sonar_cli.model.sampling import Sampling, draw


def sample(
    step: Step, prefix: Tensor, sampling: Sampling, *, max_len: int, eos: int, pad: int
) -> list[Hypothesis]:
    """Draw a continuation of each row of `prefix` (N, P) int64 with the row's random numbers.

    Scores are those of `beam_search`: the mean log-probability, at temperature 1, from the second
    token of the prefix on. `max_len` counts the prefix and eos. Rows do not depend on each other.
    Raises ValueError if `max_len` leaves no room after the prefix, and NotANumber if the logits
    hold NaN.
    """
    start = prefix.shape[1]
    if start >= max_len:
        raise ValueError(f"a prefix of {start} tokens needs max_len above {start}, not {max_len}")
    logits = step(prefix, None)  # (N, P, V)
    following = prefix[:, 1:, None]
    given = logits[:, :-1].float().log_softmax(-1).gather(2, following).sum(dim=(1, 2)).tolist()
    ids: list[list[int]] = [[] for _ in given]
    chances: list[list[float]] = [[] for _ in given]
    going = list(range(len(given)))
    for position in range(start, max_len):
        scores = logits[:, -1].float().log_softmax(-1).cpu()  # (rows that go on, V)
        if bool(scores.isnan().any()):
            raise NotANumber("the decoder gave NaN; the vectors or the weights are broken")
        scores[:, pad] = -torch.inf
        last = position == max_len - 1
        for row, each in zip(going, scores, strict=True):
            token = eos if last else draw(
                each, sampling.top_p, sampling.random[row], sampling.temperature
            )  # fmt: skip
            ids[row].append(token)
            chances[row].append(float(each[token]))
        kept = [at for at, row in enumerate(going) if ids[row][-1] != eos]
        going = [going[at] for at in kept]
        if not going:
            break
        newest = torch.tensor([[ids[row][-1]] for row in going], device=prefix.device)
        logits = step(newest, torch.tensor(kept, device=prefix.device))
    return [
        Hypothesis(tuple(row), (score + sum(own)) / (start + len(row) - 1), tuple(own))
        for row, score, own in zip(ids, given, chances, strict=True)
    ]
