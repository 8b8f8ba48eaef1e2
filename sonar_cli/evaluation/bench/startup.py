"""The whole loop from files: how long until the first token, how long a sentence, how much memory.

`python -m sonar_cli.evaluation.bench.startup ORDER` is the process that is measured. ORDER is a
JSON object of `measure`'s arguments; it prints one JSON object.
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
from sonar_cli.options import ModelPaths

if TYPE_CHECKING:
    from sonar_cli.evaluation.bench.run import Sizes

# A prompt of three sentences; six are written.
_PROMPT = ["One day a small bird found a long red thread, and she took it home to her nest."] * 3
_WRITTEN = 6


def write_weights(folder: Path, sizes: Sizes) -> ModelPaths:
    """Write random weights of these sizes in the published layouts, where there are none yet."""
    import torch

    from sonar_cli.evaluation.bench.engines import built, random_state
    from sonar_cli.model.codec.decoder import TextDecoder
    from sonar_cli.model.codec.encoder import TextEncoder
    from sonar_cli.model.formats import checkpoints
    from sonar_cli.model.systems.sonar_llm import Predictor

    cpu = torch.device("cpu")
    for name, model, config, save in (
        ("encoder", TextEncoder, sizes.encoder, checkpoints.save_encoder),
        ("decoder", TextDecoder, sizes.decoder, checkpoints.save_decoder),
        ("predictor", Predictor, sizes.predictor, checkpoints.save_predictor),
    ):
        if not any((folder / name).glob("*")):
            save(built(model, config, random_state(model, config), cpu, "float32"), folder / name)
    return ModelPaths(
        predictor=folder / "predictor",
        encoder=folder / "encoder",
        decoder=folder / "decoder",
        tokenizer=folder / "tokenizer",
    )


def measure(
    paths: ModelPaths, device: str, dtype: str, threads: int | None, steps: int
) -> dict[str, Any]:
    """Run the loop in a process of its own; return its figures (seconds, bytes).

    `import_torch` is what a bare import took there; `first_step` counts from its end to the first
    token's logits: imports of our own, loading, the prompt and the predicted vector. A tokenizer
    that is not there is replaced by one that counts.
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
    paths: dict[str, Any], device: str, dtype: str, threads: int | None, steps: int
) -> dict[str, Any]:
    started = perf_counter()
    import torch

    imported = perf_counter()
    from sonar_cli.model.codec.native import Codec
    from sonar_cli.model.codec.tokenizer import Tokenizer
    from sonar_cli.model.load import Model, load_decoder, load_encoder, load_predictor
    from sonar_cli.options import GenerationOptions
    from sonar_cli.pipeline import generate

    if threads:
        torch.set_num_threads(threads)
    encoder = load_encoder(Path(paths["encoder"]), device, dtype)
    decoder = load_decoder(Path(paths["decoder"]), device, dtype)
    config = paths["predictor_config"]
    predictor = load_predictor(
        Path(paths["predictor"]), Path(config) if config else None, device, dtype
    )
    file = Path(paths["tokenizer"])
    tokenizer: Any = Tokenizer.load(file) if file.exists() else _Numbers(decoder.config.vocab_size)
    model = Model(Codec(encoder, decoder, tokenizer), predictor)
    loaded = perf_counter()
    first: list[float] = []
    step = decoder.step

    def timed(*arguments: Any) -> torch.Tensor:
        logits = step(*arguments)
        first.append(perf_counter())
        return logits

    decoder.step = timed  # type: ignore[method-assign, assignment]
    options = GenerationOptions(sentences=_WRITTEN, max_tokens=steps + 2, stop_threshold=2.0)
    written = list(generate(model, _PROMPT, options))
    return {
        "import_torch": imported - started,
        "load": loaded - imported,
        "first_step": first[0] - imported,
        "sentences": [each.seconds for each in written[:-1]],
        "peak_bytes": peak_bytes(),
    }


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
    """Stands for a tokenizer where only the count of tokens matters: four for three words."""

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
