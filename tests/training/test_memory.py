"""Freed memory that stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Prints by how many bytes the process is larger after a block of 64 MB came and went.
HELD = """
import sys, torch
from sonar_cli.training.memory import keep_freed

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

kept = "keep" in sys.argv and keep_freed()
torch.ones(4)
before = held()
torch.ones(16 << 20)
print(kept, held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_freed_stays() -> None:
    def run(*words: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", HELD, *words], capture_output=True, text=True)
        return done.stdout.split()

    kept, size = run("keep")
    if kept == "False":
        pytest.skip("another C library than glibc")
    assert int(size) > 48e6 > 16e6 > int(run()[1])
