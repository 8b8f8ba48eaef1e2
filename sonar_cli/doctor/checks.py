"""The checks, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sonar_cli.doctor import data, environment, machine, packages, places, trial
from sonar_cli.doctor.findings import Check, Finding

SETTINGS = "Settings"


def checks(cache_folder: Path | None, settings: Callable[[], Iterable[Finding]]) -> list[Check]:
    """Return all checks.

    `cache_folder` is that of the vectors, None for the user's own. `settings` finds what the
    configuration file and our variables set, which is known to the command line alone.
    """
    installation, here, caches = "Installation", "Machine", "Caches"
    return [
        Check(installation, packages.NAME, packages.program),
        Check(installation, "Python", packages.python),
        Check(installation, "packages", packages.needed),
        Check(here, "CPU", machine.cpu, needs=("torch",)),
        Check(here, "cores", machine.threads, needs=("torch",)),
        Check(here, "memory", machine.memory),
        Check(here, "GPUs", machine.gpus, needs=("torch",)),
        Check(caches, "vectors", lambda: places.vectors(cache_folder)),
        Check(caches, "int8 weights", places.int8, needs=("torch", "safetensors")),
        Check(caches, "Hub", places.hub, needs=("huggingface-hub",)),
        Check("Data", "Punkt", data.punkt, needs=("nltk",)),
        Check("Data", "models", data.models, needs=("huggingface-hub",)),
        Check("Codecs and extras", "extras", packages.extras),
        Check(SETTINGS, "settings", settings),
        Check(SETTINGS, "variables", environment.others),
        Check("Self-test", "mini", trial.mini, needs=trial.NEEDS),
    ]
