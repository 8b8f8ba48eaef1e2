"""The training loop: AdamW with warm-up and cosine, a log in JSON Lines, and resuming.

A step's batch and its random numbers depend on the step's number alone, so a run that was killed
and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

# step -> its loss (scalar, with gradients)
Loss = Callable[[int], Tensor]
# -> figures for the log
Evaluate = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: `lr` is the peak, reached after `warmup` steps, then a cosine to 0."""

    steps: int
    lr: float
    warmup: int
    weight_decay: float = 1e-3
    clip: float = 1.0
    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 1_000
    save_seconds: float = 60.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        >>> Schedule(steps=100, lr=1.0, warmup=10).rate(9)
        1.0
        """
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * progress))


def fit(
    modules: Mapping[str, nn.Module],
    loss: Loss,
    schedule: Schedule,
    folder: Path,
    *,
    name: str = "train",
    evaluate: Evaluate | None = None,
    progress: bool = True,
    resume: bool = True,
) -> None:
    """Train the modules' parameters that require gradients, in place.

    `folder` gets `log.jsonl` and `checkpoint.pt`; with `resume` a checkpoint there is continued.
    Whatever ends it early, Ctrl-C too, the last whole step is saved first (in the middle of an
    update there is none: then the checkpoint before it stays).
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(modules, schedule, folder)
    start = run.restore() if resume else 0
    _cut_log(folder / "log.jsonl", start)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        try:
            for step in bar(range(start, schedule.steps), name, progress):
                torch.manual_seed(_step_seed(schedule.seed, step))
                figures = run.step(step, loss(step))
                if evaluate and (step + 1) % schedule.evaluate_every == 0:
                    figures |= _evaluated(modules, evaluate)
                if len(figures) > 1 or (step + 1) % schedule.log_every == 0:
                    log.write(json.dumps({"step": step + 1, **figures}) + "\n")
                    log.flush()
                run.save_if_due()
        finally:
            run.save()


def _step_seed(seed: int, step: int) -> int:
    """Return the seed of a step's random numbers, 0 <= seed < 2**64.

    The seeds of a run are an arithmetic progression modulo 2**64. Its start and its odd stride are
    a hash of `seed`, so the progressions of two runs have nothing in common.
    """
    raw = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()
    start, stride = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
    # On the CPU torch uses the low 32 bits alone: of 100,000 hashed seeds two would likely agree
    # in them. With an odd stride no two of a run's first 2**32 steps do.
    return (start + step * (stride | 1)) % 2**64


class _Run:
    """The state of one training run, in memory and on disk."""

    def __init__(self, modules: Mapping[str, nn.Module], schedule: Schedule, folder: Path) -> None:
        self.modules = modules
        self.schedule = schedule
        self.file = folder / "checkpoint.pt"
        self.parameters = [
            parameter
            for module in modules.values()
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=schedule.lr,
            weight_decay=schedule.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.saved_at = self.began = perf_counter()
        self.losses: list[float] = []
        self.done = 0
        self.whole = True

    def step(self, step: int, loss: Tensor) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        # An update that Ctrl-C cuts short must never be saved: resuming would do it twice.
        self.whole = False
        self.optimizer.step()
        self.done = step + 1
        self.losses.append(loss.item())
        self.whole = True
        if (step + 1) % self.schedule.log_every:
            return {"loss": self.losses[-1]}
        mean = sum(self.losses) / len(self.losses)
        self.losses.clear()
        return {
            "loss": round(mean, 5),
            "lr": round(self.schedule.rate(step), 8),
            "seconds": round(perf_counter() - self.began, 1),
        }

    def save_if_due(self) -> None:
        if perf_counter() - self.saved_at >= self.schedule.save_seconds:
            self.save()

    def save(self) -> None:
        """Write the whole state beside the file, then move it into place."""
        if not self.whole:
            return
        state: dict[str, Any] = {
            "step": self.done,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "seconds": perf_counter() - self.began,
            # Every step seeds anew; what is drawn after the last one goes on from here.
            "random": torch.get_rng_state(),
        }
        partial = self.file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.file)
        self.saved_at = perf_counter()

    def restore(self) -> int:
        """Take up the state on disk; return the step to go on with (0 without one)."""
        if not self.file.exists():
            return 0
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"]
        self.began = perf_counter() - state["seconds"]
        self.done = int(state["step"])
        if "random" in state:
            torch.set_rng_state(state["random"])
        return self.done


def _evaluated(modules: Mapping[str, nn.Module], evaluate: Evaluate) -> dict[str, float]:
    training = {name: module.training for name, module in modules.items()}
    for module in modules.values():
        module.eval()
    figures = dict(evaluate())
    for name, module in modules.items():
        module.train(training[name])
    return figures


def _cut_log(path: Path, start: int) -> None:
    """Drop the lines of steps that will be done again, and a line that was cut off."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= start:
                kept.append(line + "\n")
        except ValueError:
            continue
    path.write_text("".join(kept), encoding="utf-8")


def bar(steps: range, name: str, progress: bool) -> Iterable[int]:
    """Go through the steps, with a bar on stderr where it is a terminal."""
    if not (progress and sys.stderr.isatty()):
        return steps
    from tqdm import tqdm

    done, total = steps.start // steps.step, -(-steps.stop // steps.step)
    shown: Iterable[int] = tqdm(
        steps, desc=name, unit="step", initial=done, total=total, file=sys.stderr
    )
    return shown
