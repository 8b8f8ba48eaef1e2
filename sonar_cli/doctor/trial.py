"""The self-test: `mini` encodes a sentence, writes it again, and goes on with it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sonar_cli.doctor.findings import Finding
from sonar_cli.options import MINI

NEEDS = ("torch", "numpy", "sentencepiece", "safetensors", "nltk")
_SENTENCE = "One day Lily found a kite."
_REMEDY = (
    "the package's weights are damaged (pip install --force-reinstall --no-deps sonar-llm), or "
    "this build of torch computes wrongly on this machine (install another)"
)


def mini() -> Iterator[Finding]:
    """Let `mini` encode a sentence and decode it to the same, then continue it."""
    from sonar_cli.api import SonarLLM

    start = time.perf_counter()
    llm = SonarLLM.load(MINI, threads=1, offline=True)
    (decoded,) = llm.decode(llm.encode([_SENTENCE]))
    same = decoded.text == _SENTENCE
    yield _judged(
        "encode, decode", same,
        f'"{decoded.text}" comes back' if same else f'"{_SENTENCE}" comes back as "{decoded.text}"',
    )  # fmt: skip
    written = [step.text for step in llm.continue_(_SENTENCE, sentences=1) if step.text]
    took = f"{time.perf_counter() - start:.1f} s in all"
    found = f'"{written[0]}" ({took})' if written else f"nothing was written ({took})"
    yield _judged("continue", bool(written), found)


def _judged(name: str, right: bool, found: str) -> Finding:
    return Finding(name, "good", found) if right else Finding(name, "wrong", found, _REMEDY)
