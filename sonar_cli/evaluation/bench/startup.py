"""The whole loop from files, in a process of its own: start, sentence by sentence, peak memory.

`python -m sonar_cli.evaluation.bench.startup ORDER` is the process that is measured. ORDER is a
JSON object of `measure`'s arguments; what is printed is the JSON object that `measure` returns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sonar_cli.errors import SonarError
from sonar_cli.options import GenerationOptions, ModelPaths, Runtime

if TYPE_CHECKING:
    from sonar_cli.model.systems.sonar_llm import SonarLLMSystem

# A prompt of three sentences; six are written.
_PROMPT = ["One day a small bird found a long red thread, and she took it home to her nest."] * 3
_WRITTEN = 6


def measure(
    paths: ModelPaths, device: str, dtype: str, threads: int | None, steps: int
) -> dict[str, Any]:
    """Load a model in a new process, let it write six sentences, and return the figures.

    A sentence ends after `steps` token steps at the latest. Where the tokenizer's file is missing,
    a stand-in that counts words is used. The figures are, in seconds:

    - `import_torch`: importing torch alone;
    - `load`: after that, our own imports and loading the model;
    - `first_step`: everything after torch's import until the first token's logits, so loading,
      encoding the prompt and predicting the first vector are included;
    - `sentences`: each sentence that was written, a list.

    `peak_bytes` is the most memory that the process ever had, mapped files included. Raises
    SonarError where the process fails.
    """
    order = {
        "paths": asdict(paths),
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "steps": steps,
    }
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(order, default=str)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = done.stderr.strip()[-300:]
        raise SonarError(f"the loop from {paths.predictor} failed: {reason}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _loop(
    paths: dict[str, str | None], device: str, dtype: str, threads: int | None, steps: int
) -> dict[str, Any]:
    started = perf_counter()
    import torch

    imported = perf_counter()
    from sonar_cli.pipeline import generate

    if threads:
        torch.set_num_threads(threads)
    files = {part: Path(path) for part, path in paths.items() if path is not None}
    system = _load(ModelPaths(**files), Runtime(device, dtype))
    loaded = perf_counter()
    times = _watch_steps()
    options = GenerationOptions(
        sentences=_WRITTEN, max_tokens=steps + 2, stop_threshold=2.0, seed=0
    )
    written = list(generate(system, _PROMPT, options))
    return {
        "import_torch": imported - started,
        "load": loaded - imported,
        "first_step": times[0] - imported,
        "sentences": [each.seconds for each in written[:-1]],
        "peak_bytes": peak_bytes(),
    }


def _load(paths: ModelPaths, runtime: Runtime) -> SonarLLMSystem:
    """Load a model as the product does; without a tokenizer's file with a stand-in for it."""
    from sonar_cli.model.codec.native import NativeCodec
    from sonar_cli.model.load import load_decoder, load_encoder, load_sonar_llm

    if paths.tokenizer.exists():
        return load_sonar_llm(paths, runtime)
    encoder, decoder = load_encoder(paths.encoder, runtime), load_decoder(paths.decoder, runtime)
    tokenizer: Any = _Numbers(decoder.config.vocab_size)
    return load_sonar_llm(paths, runtime, NativeCodec(encoder, decoder, tokenizer))


def _watch_steps() -> list[float]:
    """Let the decoder note the time after each of its steps; return the list of these times."""
    from sonar_cli.model.codec.decoder import TextDecoder

    times: list[float] = []
    step = TextDecoder.step

    def timed(*arguments: Any) -> Any:
        logits = step(*arguments)
        times.append(perf_counter())
        return logits

    TextDecoder.step = timed  # type: ignore[method-assign, assignment]
    return times


def peak_bytes() -> int:
    """Return the most memory that this process has had so far, mapped files included."""
    try:
        # Not getrusage: on Linux that begins with what the parent process had.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class _Numbers:
    """A stand-in for a tokenizer where only the number of tokens matters: four for three words."""

    languages = ("eng_Latn",)

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def source(self, text: str, lang: str) -> list[int]:
        count = 2 + 4 * len(text.split()) // 3
        return [5 + i % (self.vocab_size - 5) for i in range(count)]

    def lang_id(self, lang: str) -> int:
        return 4

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(str(id) for id in ids)


if __name__ == "__main__":
    print(json.dumps(_loop(**json.loads(sys.argv[1]))))
