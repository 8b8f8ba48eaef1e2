"""Where a training runs: processes, their device, its number format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sonar_cli.model.fast.bfloat16 import multiplies_bfloat16
from sonar_cli.model.load import pick_device
from sonar_cli.training.batches import parts_of
from sonar_cli.training.memory import keep_freed
from sonar_cli.training.processes import Launched, Processes, find_processes
from sonar_cli.training.state import Means
from sonar_cli.training.tables import Train

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where and with what a training runs: processes, their device, CPU threads, what is shown.

    `notify` is told of texts that are left out; see `loop.Shown` for `log_to`.
    """

    device: str = "auto"
    threads: int | None = None
    progress: bool = True
    notify: Notify = lambda line: None
    log_to: str | None = None

    def processes(self) -> tuple[Processes, torch.device]:
        """Set the threads; return the processes that share this training, and this one's device."""
        if self.threads:
            torch.set_num_threads(self.threads)
        keep_freed()
        found = find_processes(self.device)
        return found, found.device if isinstance(found, Launched) else pick_device(self.device)

    def of(self, processes: Processes) -> Place:
        """Return the same without a word for all but the first of the processes."""
        if not processes.rank:
            return self
        return replace(self, progress=False, notify=lambda line: None)


def means_of(how: Train, batch: int, processes: Processes, device: torch.device) -> Means:
    """Return how a recipe's batches are computed."""
    wants = how.precision == "bfloat16"
    half = wants or (how.precision == "auto" and multiplies_bfloat16(device))
    parts = parts_of(batch, how.micro_batch, processes.count)
    return Means(processes, parts, torch.bfloat16 if half else torch.float32, device.type)
