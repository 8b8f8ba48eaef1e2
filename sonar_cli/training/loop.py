"""The training loop: AdamW, a learning rate with warm-up and cosine decay, a log, checkpoints.

The batch and the random numbers of a step depend on the seed and the step's number alone, so a run
that was killed and resumed ends with the same weights as one that was not. A checkpoint holds a
record of what it was made with, and a run with anything else refuses to go on from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError, TrainingError
from sonar_cli.training.recipe import Train
from sonar_cli.training.record import ADVICE, Record, require_same, write_whole

# Computes the loss of a step from its number: a scalar with gradients.
Loss = Callable[[int], Tensor]
# Computes figures for the log, by name.
Evaluate = Callable[[], Mapping[str, float]]
# These fields of a schedule decide when something is written, and no weight depends on them.
_FREE = ("log_every", "evaluate_every", "save_seconds")


@dataclass(frozen=True)
class Schedule:
    """Number of steps, learning rate, regularization, and how often a run reports and saves.

    The learning rate rises linearly to `lr` within `warmup` steps and then falls to 0 along a
    cosine, or stays with the decay "constant". `weight_decay`, `betas` and `eps` are AdamW's,
    `clip` the largest norm of the gradient, and `seed` that of the steps' random numbers. The log
    gets the mean loss every `log_every` steps and the evaluation's figures every `evaluate_every`;
    a checkpoint is written every `save_seconds`.
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
            betas=(0.9, train.beta2), eps=train.eps, decay=train.decay,
            evaluate_every=train.validate_every, save_seconds=train.save_seconds,
        )  # fmt: skip


def fit(
    modules: Mapping[str, nn.Module],
    loss: Loss,
    schedule: Schedule,
    folder: Path,
    *,
    name: str = "train",
    recipe: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
    describe: Callable[[int], str] | None = None,
    progress: bool = True,
    resume: bool = True,
) -> None:
    """Train the modules' parameters that require gradients, in place.

    `folder` gets `log.jsonl` and `checkpoint.pt`. With `resume` a checkpoint there is continued;
    without, it is removed. `recipe` states as JSON-like values what `loss` is made of and the
    schedule does not tell: batch size, the model's configuration, a `digest` of the data.

    Raises UsageError when the checkpoint was made with another recipe, other weights (their names,
    shapes, dtypes, which of them are trained) or another schedule, and CheckpointError when it
    cannot be read; the modules, the log and the checkpoint are then left as they were. Of the
    schedule `log_every`, `evaluate_every` and `save_seconds` may change: no weight depends on them.

    A loss that is NaN or infinite ends the training with TrainingError before it changes a weight;
    `describe` tells in the message what the step was trained on.

    When training ends early, by Ctrl-C or an error, the state after the last complete step is
    saved; when that happens within an optimizer update, the checkpoint before it stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(modules, schedule, folder, recipe or {})
    start = run.restore() if resume else run.discard()
    _cut_log(folder / "log.jsonl", start)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        try:
            for step in bar(range(start, schedule.steps), name, progress):
                torch.manual_seed(_step_seed(schedule.seed, step))
                figures = run.step(step, _finite(loss(step), step, run, describe))
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

    The seeds of a run are an arithmetic progression modulo 2**64, whose start and odd stride are a
    hash of `seed`: two runs have at most single steps in common, and these by chance.
    """
    raw = hashlib.blake2b(str(seed).encode(), digest_size=16).digest()
    start, stride = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
    # On the CPU torch uses the low 32 bits alone: of 100,000 hashed seeds two would likely agree
    # in them. With an odd stride no two of a run's first 2**32 steps do.
    return (start + step * (stride | 1)) % 2**64


class _Run:
    """The state of one training run, in memory and on disk."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        schedule: Schedule,
        folder: Path,
        recipe: Mapping[str, Any],
    ) -> None:
        self.modules = modules
        self.schedule = schedule
        self.file = folder / "checkpoint.pt"
        self.made_with = _record(modules, schedule, recipe)
        self.parameters = [
            parameter
            # The optimizer keeps its state by position, so the order must not be the caller's.
            for _, module in sorted(modules.items())
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=schedule.lr,
            weight_decay=schedule.weight_decay,
            betas=schedule.betas,
            eps=schedule.eps,
            fused=True,
        )
        self.saved_at = self.began = perf_counter()
        self.losses: list[float] = []
        self.done = 0
        self.whole = True

    def step(self, step: int, loss: Tensor) -> dict[str, float]:
        """Update the parameters; return the figures for the log."""
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
        """Save when the last time is `save_seconds` ago."""
        if perf_counter() - self.saved_at >= self.schedule.save_seconds:
            self.save()

    def save(self) -> None:
        """Write the whole state beside the file, then move it into place."""
        if not self.whole:
            return
        state: dict[str, Any] = {
            "made_with": self.made_with,
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
        """Load the checkpoint; return the step to go on with, 0 where there is none."""
        if not self.file.exists():
            return 0
        state = _load(self.file)
        require_same(self.file, state.get("made_with"), self.made_with)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"]
        self.began = perf_counter() - state["seconds"]
        self.done = int(state["step"])
        torch.set_rng_state(state["random"])
        return self.done

    def discard(self) -> int:
        """Remove the checkpoint; return 0, the step to begin with."""
        # It must not come back when the new run is killed before its first save.
        self.file.unlink(missing_ok=True)
        return 0


def _record(
    modules: Mapping[str, nn.Module], schedule: Schedule, recipe: Mapping[str, Any]
) -> Record:
    """Return what the weights of a run depend on, as JSON would give it back.

    Raises TypeError when the recipe is not JSON-like.
    """
    weights = {
        f"{name}.{key}": _described(tensor)
        for name, module in modules.items()
        for key, tensor in module.state_dict(keep_vars=True).items()
    }
    fields = {name: value for name, value in asdict(schedule).items() if name not in _FREE}
    record = {"schedule": fields, "recipe": recipe, "weights": weights}
    normal: Record = json.loads(json.dumps(record))
    return normal


def _described(tensor: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{list(tensor.shape)} {dtype}{'' if tensor.requires_grad else ' frozen'}"


def _load(file: Path) -> Mapping[str, Any]:
    """Read a checkpoint; CheckpointError when it is truncated or something else."""
    message = f"{file} is truncated or not a checkpoint: give {ADVICE}"
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(message) from error
    if not isinstance(state, dict):
        raise CheckpointError(message)
    return state


def _finite(loss: Tensor, step: int, run: _Run, describe: Callable[[int], str] | None) -> Tensor:
    if not bool(loss.isfinite()):
        of = f" on {describe(step)}" if describe else ""
        raise TrainingError(
            f"the loss of step {step + 1}{of} is {loss.item()}; {run.file} has the {run.done} "
            "steps before it: go on with a lower lr in another folder, or look at these texts"
        )
    return loss


def _evaluated(modules: Mapping[str, nn.Module], evaluate: Evaluate) -> dict[str, float]:
    """Evaluate the modules in eval mode and without moving torch's random state."""
    training = {name: module.training for name, module in modules.items()}
    for module in modules.values():
        module.eval()
    # What is drawn after the run must not depend on how often it was evaluated.
    with torch.random.fork_rng(devices=[]):
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
    write_whole(path, "".join(kept))


def bar(steps: range, name: str, progress: bool) -> Iterable[int]:
    """Return the steps, which advance a progress bar on stderr where that is a terminal."""
    if not (progress and sys.stderr.isatty()):
        return steps
    from tqdm import tqdm

    done, total = steps.start // steps.step, -(-steps.stop // steps.step)
    shown: Iterable[int] = tqdm(
        steps, desc=name, unit="step", initial=done, total=total, file=sys.stderr
    )
    return shown
