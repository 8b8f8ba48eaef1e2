"""How long a run is, its learning rates and regularization, and how often it reports and saves."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

from sonar_cli.training.tables import Train

# These fields decide when something is written, and no weight depends on them.
FREE = ("log_every", "evaluate_every", "save_seconds", "keep")


@dataclass(frozen=True)
class Schedule:
    """Number of steps, learning rate, regularization, and how often a run reports and saves.

    The learning rate rises linearly to `lr` within `warmup` steps and then falls to 0 along a
    cosine, or stays with the decay "constant". The optimizer is AdamW or, with "muon", `muon.Muon`;
    `weight_decay`, `betas` and `eps` are AdamW's, `clip` the largest norm of the gradient, and
    `seed` that of the steps' random numbers. With `ema` above 0 the weights that are evaluated and
    kept are an exponential moving average of the trained ones, with that decay. The log gets the
    mean loss every `log_every` steps and the evaluation's figures every `evaluate_every`; a
    checkpoint is written every `save_seconds`, and the last `keep` of them stay.
    """

    steps: int
    lr: float
    warmup: int
    weight_decay: float = 1e-3
    clip: float = 1.0
    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 1_000
    save_seconds: float = 60.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    decay: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.0
    keep: int = 1
    optimizer: Literal["adamw", "muon"] = "adamw"

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        >>> Schedule(steps=100, lr=1.0, warmup=10).rate(9)
        1.0
        """
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.decay == "constant":
            return self.lr
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * progress))

    @classmethod
    def of(cls, train: Train) -> Schedule:
        """Return the schedule that a recipe asks for."""
        return cls(
            train.steps, train.lr, train.warmup, train.weight_decay, train.clip, train.seed,
            betas=(0.9, train.beta2), eps=train.eps, decay=train.decay, ema=train.ema,
            evaluate_every=train.validate_every, save_seconds=train.save_seconds, keep=train.keep,
            optimizer=train.optimizer,
        )  # fmt: skip


def step_seed(seed: int, step: int) -> int:
    """Return the seed of a step's random numbers, 0 <= seed < 2**64.

    The seeds of a run are an arithmetic progression modulo 2**64, whose start and odd stride are a
    hash of `seed`: two runs have at most single steps in common, and these by chance.
    """
    raw = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()
    start, stride = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
    # On the CPU torch uses the low 32 bits alone: of 100,000 hashed seeds two would likely agree
    # in them. With an odd stride no two of a run's first 2**32 steps do.
    return (start + step * (stride | 1)) % 2**64
