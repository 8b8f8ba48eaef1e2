"""The state of one training run, in memory and on disk: a step, an evaluation, a save."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from sonar_cli.errors import TrainingError, UsageError
from sonar_cli.training.checkpoint import Checkpoints
from sonar_cli.training.ema import Average
from sonar_cli.training.loss import Loss
from sonar_cli.training.muon import Muon, matrices
from sonar_cli.training.processes import Processes
from sonar_cli.training.record import Record, require_same
from sonar_cli.training.schedule import FREE, Schedule, step_seed

# Computes the loss of a part of a step's batch from the numbers of the step and the part.
PartLoss = Callable[[int, int], Loss]
# Computes figures for the log, by name, after so many steps.
Evaluate = Callable[[int], Mapping[str, float]]
# Tells what a step is trained on.
Describe = Callable[[int], str]


@dataclass(frozen=True)
class Means:
    """How a run computes: with which processes, number format, and in how many parts a batch.

    `parts` are those of all processes together, each as many. `precision` is autocast's dtype;
    float32 means none.
    """

    processes: Processes
    parts: int = 1
    precision: torch.dtype = torch.float32
    device: str = "cpu"

    @property
    def own(self) -> range:
        """The numbers of this process's parts."""
        return range(self.processes.rank, self.parts, self.processes.count)

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the number format."""
        on = self.precision != torch.float32
        return torch.autocast(self.device, self.precision, enabled=on)


class _Objective(nn.Module):
    """The modules as one, whose forward pass is the loss: what DDP and FSDP wrap."""

    def __init__(self, modules: Mapping[str, nn.Module], loss: PartLoss) -> None:
        super().__init__()
        # The optimizer keeps its state in this order, so it must not be the caller's.
        for name, module in sorted(modules.items()):
            self.add_module(name, module)
        self.loss = loss

    def forward(self, step: int, part: int) -> tuple[Tensor, float, int]:
        loss = self.loss(step, part)
        return loss.total, loss.weight, loss.tokens


class Run:
    """The state of one training run, in memory and on disk."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        loss: PartLoss,
        schedule: Schedule,
        folder: Path,
        recipe: Mapping[str, Any],
        means: Means,
    ) -> None:
        self.modules, self.schedule, self.means = modules, schedule, means
        self.processes = means.processes
        self.checkpoints = Checkpoints(folder, schedule.keep)
        objective = _Objective(modules, loss)
        self.made_with = _record(objective, schedule, recipe)
        self.size = _state_size(objective, schedule)
        self.objective = self.processes.prepare(objective)
        self.trained = {
            name: each for name, each in objective.named_parameters() if each.requires_grad
        }
        self.optimizer = _optimizer(
            list(self.trained.values()), objective, schedule, self.processes.sharded
        )
        if schedule.ema and self.processes.sharded:
            raise UsageError("an average of divided weights is not kept: train.ema=0 with FSDP")
        self.average = Average(self.trained, schedule.ema)
        self.saved_at = self.began = perf_counter()
        self.losses: list[float] = []
        self.last = math.nan
        self.tokens = 0
        self.done = 0
        self.saved: int | None = None
        self.whole = True

    def step(self, step: int, describe: Describe | None) -> dict[str, float]:
        """Update the parameters; return the figures for the log."""
        world = self.processes.count
        torch.manual_seed(step_seed(self.schedule.seed, step * world + self.processes.rank))
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(step)
        total, weight, tokens = self._gradients(step)
        self.last = self._finite(total / weight, step, describe, "loss")
        for each in self.trained.values():
            if each.grad is not None:
                each.grad.mul_(world / weight)  # exchanged gradients are averages
        norm = self.processes.clip(list(self.trained.values()), self.schedule.clip)
        self._finite(norm, step, describe, "gradient's norm")
        # An update that Ctrl-C cuts short must never be saved: resuming would do it twice.
        self.whole = False
        self.optimizer.step()
        self.average.update(step)
        self.done = step + 1
        self.tokens += int(tokens)
        self.losses.append(self.last)
        self.whole = True
        if (step + 1) % self.schedule.log_every:
            return {"loss": self.last}
        mean = sum(self.losses) / len(self.losses)
        self.losses.clear()
        return {
            "loss": round(mean, 5),
            "lr": round(self.schedule.rate(step), 8),
            "seconds": round(perf_counter() - self.began, 1),
            "tokens": self.tokens,
        }

    def _gradients(self, step: int) -> list[float]:
        """Add up the gradients of this process's parts; return all parts' total, weight, tokens."""
        self.optimizer.zero_grad(set_to_none=True)
        sums = [0.0, 0.0, 0.0]
        parts = self.means.own
        for part in parts:
            with self.processes.syncing(self.objective, part == parts[-1]):
                with self.means.autocast():
                    total, weight, tokens = self.objective(step, part)
                total.backward()
            sums = [a + b for a, b in zip(sums, (total.item(), weight, tokens), strict=True)]
        return self.processes.sums(sums)

    def rate(self) -> dict[str, str]:
        """Return the tokens a second so far, to be shown."""
        seconds = perf_counter() - self.began
        return {"tokens/s": f"{self.tokens / seconds:.0f}"} if self.tokens else {}

    def evaluated(self, evaluate: Evaluate) -> dict[str, float]:
        """Evaluate the modules in eval mode and without moving torch's random state."""
        training = {name: module.training for name, module in self.modules.items()}
        for module in self.modules.values():
            module.eval()
        # What is drawn after the run must not depend on how often it was evaluated.
        with torch.random.fork_rng(devices=[]), self.average.applied():
            figures = dict(evaluate(self.done))
        for name, module in self.modules.items():
            module.train(training[name])
        return figures

    def save_if_due(self) -> None:
        """Save when the last time is `save_seconds` ago, by the first process's clock."""
        due = perf_counter() - self.saved_at >= self.schedule.save_seconds
        if self.processes.sums([float(due and not self.processes.rank)])[0]:
            self.save()

    def save(self) -> None:
        """Save the state after the last whole step, if it is not saved yet."""
        if not self.whole or self.saved == self.done:
            return
        state: dict[str, Any] = {
            "made_with": self.made_with,
            "step": self.done,
            **self.processes.state(self.objective, self.optimizer),
            "average": self.average.state(),
            "losses": self.losses,
            "tokens": self.tokens,
            "seconds": perf_counter() - self.began,
            # Every step seeds anew; what is drawn after the last one goes on from here.
            "random": torch.get_rng_state(),
        }
        if not self.processes.rank:
            self.checkpoints.write(state, self.done)
        self.saved_at, self.saved = perf_counter(), self.done

    def restore(self) -> int:
        """Load the checkpoint; return the step to go on with, 0 where there is none."""
        state = self.checkpoints.read()
        if state is None:
            self.checkpoints.require_space(self.size)
            return 0
        require_same(self.checkpoints.file, state.get("made_with"), self.made_with)
        self.checkpoints.require_space(self.size)
        self.processes.load(self.objective, self.optimizer, state)
        self.average.load(state["average"])
        self.losses, self.tokens = state["losses"], state["tokens"]
        self.began = perf_counter() - state["seconds"]
        self.done = self.saved = int(state["step"])
        torch.set_rng_state(state["random"])
        return self.done

    def discard(self) -> int:
        """Remove the checkpoints; return 0, the step to begin with."""
        if not self.processes.rank:
            self.checkpoints.discard()
            self.checkpoints.require_space(self.size)
        return 0

    def _finite(self, value: float, step: int, describe: Describe | None, what: str) -> float:
        if not math.isfinite(value):
            of = f" on {describe(step)}" if describe else ""
            raise TrainingError(
                f"the {what} of step {step + 1}{of} is {value}; {self.checkpoints.file} has the "
                f"{self.done} steps before it: go on with a lower lr in another folder, or look at "
                "these texts"
            )
        return value


def _optimizer(
    trained: list[nn.Parameter], objective: nn.Module, schedule: Schedule, sharded: bool
) -> torch.optim.AdamW:
    settings: dict[str, Any] = {
        "lr": schedule.lr,
        "weight_decay": schedule.weight_decay,
        "betas": schedule.betas,
        "eps": schedule.eps,
        "fused": True,
    }
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(trained, **settings)
    if sharded:
        raise UsageError("muon takes whole matrices: train.optimizer=adamw with FSDP")
    return Muon(trained, matrices(objective), **settings)


def _record(objective: nn.Module, schedule: Schedule, recipe: Mapping[str, Any]) -> Record:
    """Return what the weights of a run depend on, as JSON would give it back.

    Raises TypeError when the recipe is not JSON-like.
    """
    weights = {
        key: _described(tensor) for key, tensor in objective.state_dict(keep_vars=True).items()
    }
    fields = {name: value for name, value in asdict(schedule).items() if name not in FREE}
    record = {"schedule": fields, "recipe": recipe, "weights": weights}
    normal: Record = json.loads(json.dumps(record))
    return normal


def _described(tensor: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{list(tensor.shape)} {dtype}{'' if tensor.requires_grad else ' frozen'}"


def _state_size(objective: nn.Module, schedule: Schedule) -> int:
    """Return the bytes of a checkpoint: the weights, and two moments and an average of each."""
    copies = 4 if schedule.ema else 3
    return sum(
        each.nbytes * (copies if each.requires_grad else 1)
        for each in objective.state_dict(keep_vars=True).values()
    )
