"""A program that trains and is killed at a step, to be run in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence


def program(words: Sequence[str], when: str) -> str:
    """Return a program that runs sonar-llm with words and is killed when an expression is true.

    `when` is asked before each step, of `number`, the step's, `call`, which counts the steps of all
    stages, and `self`, the run.
    """
    return f"""
import os, signal, sys
from itertools import count
from sonar_cli.training.state import Run
step, calls = Run.step, count()
def dying(self, number, describe):
    call = next(calls)
    if {when}: os.kill(os.getpid(), signal.SIGKILL)
    return step(self, number, describe)
Run.step = dying
from sonar_cli.cli import run
sys.exit(run({list(words)!r}))
"""


def killed(words: Sequence[str], when: str) -> bool:
    """Run the program; tell whether it was killed."""
    done = subprocess.run([sys.executable, "-c", program(words, when)], timeout=200)
    return done.returncode == -signal.SIGKILL
