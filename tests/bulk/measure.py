"""Measure what docs/bulk.md says of `mini`: `python -m tests.bulk.measure [TEXTS]`.

Prints the seconds a text of each command, loading the model included, on held-out stories of the
world: `continue` sees a story's first sentence, the others see it whole.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from sonar_cli.cli import run
from sonar_cli.cores import cores
from sonar_cli.world import stories as world
from tests.bulk.texts import json_lines


def main(texts: int = 200) -> None:
    stories = [each.sentences for each in world.stories(texts, 5, held_out=True)]
    whole = [" ".join(each) for each in stories]
    print(f"{texts} stories on {cores()} cores")
    print("| command | seconds a text | ten million texts, days |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for command in ("continue", "summarize", "encode"):
            given = [each[0] for each in stories] if command == "continue" else whole
            file = json_lines(Path(folder, "a.jsonl"), [{"text": each} for each in given])
            began = time.perf_counter()
            assert run(["bulk", command, str(file), "-o", f"{folder}/{command}", "-q"]) == 0
            each = (time.perf_counter() - began) / texts
            print(f"| {command} | {each:.3f} | {each * 1e7 / 86_400:.1f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
