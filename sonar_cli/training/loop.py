"""The training loop: steps, a log, evaluations and checkpoints, and a way to go on.

The batch and the random numbers of a step depend on the seed and the step's number alone, so a run
that was killed and resumed ends with the same weights as one that was not. A checkpoint holds a
record of what it was made with, and a run with anything else refuses to go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sonar_cli.training.log import Log
from sonar_cli.training.processes import Processes
from sonar_cli.training.progress import bar, tell
from sonar_cli.training.schedule import Schedule
from sonar_cli.training.state import Describe, Evaluate, Means, PartLoss, Run


@dataclass(frozen=True)
class Shown:
    """What a run shows and writes: a name, a bar, and a second log (see `log.Log`)."""

    name: str = "train"
    progress: bool = True
    log_to: str | None = None


def fit(
    modules: Mapping[str, nn.Module],
    loss: PartLoss,
    schedule: Schedule,
    folder: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
    describe: Describe | None = None,
    means: Means | None = None,
    shown: Shown | None = None,
    resume: bool = True,
) -> None:
    """Train the modules' parameters that require gradients, in place.

    A step minimizes the sum of its parts' totals divided by the sum of their weights. `folder` gets
    `log.jsonl` and `checkpoint.pt`. With `resume` a checkpoint there is continued; without, it is
    removed. `recipe` states as JSON-like values what `loss` is made of and the schedule does not
    tell: batch size, the model's configuration, a `digest` of the data.

    Raises UsageError when the checkpoint was made with another recipe, other weights (their names,
    shapes, dtypes, which of them are trained) or another schedule, and CheckpointError when it
    cannot be read; the modules, the log and the checkpoint are then left as they were. Of the
    schedule `schedule.FREE` may change: no weight depends on these. Raises TrainingError where the
    disk is too small for the checkpoints.

    A loss or gradient that is NaN or infinite ends the training with TrainingError before it
    changes a weight; `describe` tells in the message what the step was trained on.

    When training ends early, by Ctrl-C or an error, the state after the last complete step is
    saved; when that happens within an optimizer update, the checkpoint before it stays.
    """
    means, shown = means or Means(Processes()), shown or Shown()
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(modules, loss, schedule, folder, recipe or {}, means)
    start = run.restore() if resume else run.discard()
    first = not means.processes.rank
    with Log(folder, start, shown.log_to) if first else _Silent() as log:
        try:
            _train(run, start, log, shown if first else Shown(progress=False), evaluate, describe)
        except BaseException:
            # Gathering divided weights takes all processes, and another may be gone.
            if not means.processes.sharded:
                run.save()
            raise
        run.save()
    run.average.keep()


def _train(
    run: Run,
    start: int,
    log: Log | _Silent,
    shown: Shown,
    evaluate: Evaluate | None,
    describe: Describe | None,
) -> None:
    schedule = run.schedule
    steps = bar(range(start, schedule.steps), shown.name, shown.progress)
    for step in steps:
        figures = run.step(step, describe)
        tell(steps, loss=f"{run.last:.4g}", **run.rate())
        if evaluate and (step + 1) % schedule.evaluate_every == 0:
            figures |= run.evaluated(evaluate)
        if len(figures) > 1 or (step + 1) % schedule.log_every == 0:
            log.write(step + 1, figures)
        run.save_if_due()


class _Silent:
    """The log of a process that writes none."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        pass

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass
