"""`sonar-llm serve` as a process of its own, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LISTENING = re.compile(r"^sonar-llm: listening on (http://\S+)$")


@dataclass
class Server:
    """A process that serves, and where."""

    url: str
    process: subprocess.Popen[str]

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit status and what was said since the start."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Server]:
    """Start a server on a free port; what is left of it is killed at the end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SONAR_LLM_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "sonar_cli", "serve", "--port", "0", *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SONAR_LLM_CONFIG_FILE": ""}
        | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job that was begun in the background may hand on that it passes over Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = _LISTENING.match(first)
        assert found, first + process.stderr.read()
        yield Server(found[1], process)
    finally:
        process.kill()
        process.communicate()
