"""How fast this machine is: a decoder's token step, a predictor's sentence, the whole loop.

A token step multiplies a few rows by all of the decoder's weights, so its time is set by the speed
at which memory is read. Weights are random unless a model's own are asked for: the time does not
depend on their values.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from sonar_cli.evaluation.bench import startup
from sonar_cli.evaluation.bench.engines import (
    Engine,
    SonarSpaceEngine,
    State,
    native,
    native_predictor,
    random_state,
    step_bytes,
)
from sonar_cli.evaluation.report import grid
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.sonar_space import require
from sonar_cli.model.formats import checkpoints
from sonar_cli.model.load import pick_device
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths

# The least that is read for the memory's speed, with weights that would fit into caches.
_READ_BYTES = 2**28
# Token steps of a text: ten sentences of thirty tokens, as in a short story.
TEXT_STEPS = 300
TOKEN_STEP, NEXT_VECTOR = "token step", "next vector"


@dataclass(frozen=True)
class Sizes:
    """What is measured: a SONAR codec and a SONAR-LLM predictor."""

    encoder: TransformerConfig
    decoder: TransformerConfig
    predictor: PredictorConfig


# SONAR's own sizes, and those of the 900m SONAR-LLM.
FULL = Sizes(
    TransformerConfig(256_206, 1024, layers=24, heads=16, ffn=8192, max_len=514),
    TransformerConfig(256_206, 1024, layers=24, heads=16, ffn=8192, max_len=512),
    PredictorConfig(1024, 1536, ffn=6144, layers=17, heads=32, kv_heads=32, head_dim=64),
)
TINY = Sizes(
    TransformerConfig(600, 64, layers=2, heads=1, ffn=128, max_len=514),
    TransformerConfig(600, 64, layers=2, heads=1, ffn=128, max_len=512),
    PredictorConfig(64, 64, ffn=128, layers=2, heads=2, kv_heads=2, head_dim=32),
)


SIZES = {"full": FULL, "tiny": TINY}


@dataclass(frozen=True)
class Plan:
    """What `run` measures: a model's weights, or random ones of a size.

    `files` is a folder for random weights, from which the whole loop is run as well; with a
    model's own weights it always is.
    """

    size: str = "full"
    model: ModelPaths | None = None
    against: str | None = None
    texts: tuple[int, ...] = (1, 4, 8, 16)
    contexts: tuple[int, ...] = (10, 100, 1000)
    beam_size: int = 5
    steps: int = 20
    rounds: int = 3
    dtypes: tuple[str, ...] = ("float32",)
    device: str = "auto"
    threads: int | None = None
    files: Path | None = None


def run(plan: Plan, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure by a plan; return one JSON object. `tell` hears what is being done."""
    device = pick_device(plan.device)
    if plan.against == "sonar-space":
        require()
    memory = Memory(device, step_bytes(_decoder_config(plan)))
    timings: list[Timing] = []
    if plan.texts:
        tell("preparing weights")
        engines = _engines(plan, device)
        for texts in plan.texts:
            tell(f"token steps of {texts} texts: {', '.join(engine.name for engine in engines)}")
            timings += token_steps(
                engines,
                texts,
                memory,
                beam_size=plan.beam_size,
                steps=plan.steps,
                rounds=plan.rounds,
            )
        del engines
    for dtype in plan.dtypes if plan.contexts else ():
        tell(f"the predictor in {dtype}")
        config, state = _predictor(plan)
        predictor, bytes_read = native_predictor(config, state, device, dtype)
        del state
        name = f"native {dtype}"
        timings += next_vectors(
            name, predictor, plan.contexts, bytes_read, memory, rounds=plan.rounds
        )
        del predictor
    return {
        "machine": machine(device),
        "weights": str(plan.model.predictor) if plan.model else f"random, {plan.size} size",
        "beam_size": plan.beam_size,
        "read_gb_per_second": memory.speed() / 1e9,
        "against": plan.against,
        "timings": records(timings, plan.against),
        "loops": _loops(plan, tell),
    }


def _engines(plan: Plan, device: torch.device) -> list[Engine]:
    """Build the decoders to compare, all on the same weights."""
    config, state = _decoder(plan)
    engines: list[Engine] = [native(config, state, device, dtype) for dtype in plan.dtypes]
    if plan.against == "plain":
        engines.append(native(config, state, device, plan.dtypes[0], packed=False))
    if plan.against == "sonar-space":
        engines.append(SonarSpaceEngine(config, state, device))
    return engines


def _decoder_config(plan: Plan) -> TransformerConfig:
    if plan.model:
        return checkpoints.read_decoder(plan.model.decoder)[0]
    return SIZES[plan.size].decoder


def _decoder(plan: Plan) -> tuple[TransformerConfig, State]:
    if plan.model:
        return checkpoints.read_decoder(plan.model.decoder)
    config = _decoder_config(plan)
    return config, random_state(TextDecoder, config)


def _predictor(plan: Plan) -> tuple[PredictorConfig, State]:
    if plan.model:
        return checkpoints.read_predictor(plan.model.predictor, plan.model.predictor_config)
    config = SIZES[plan.size].predictor
    return config, random_state(Predictor, config)


def _loops(plan: Plan, tell: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Run the whole loop from files in each dtype: dtype -> its figures."""
    paths = plan.model
    if paths is None:
        if plan.files is None:
            return {}
        tell(f"writing weights to {plan.files}")
        paths = startup.write_weights(plan.files, SIZES[plan.size])
    found = {}
    for dtype in plan.dtypes:
        tell(f"the whole loop from files in {dtype}")
        # What the first start has to read and quantize, the second finds in memory and on disk.
        for _ in range(2):
            found[dtype] = startup.measure(paths, plan.device, dtype, plan.threads, plan.steps)
    return found


@dataclass(frozen=True)
class Timing:
    """Seconds that an engine took for one step, one figure a round."""

    engine: str
    what: str
    count: int  # texts side by side, or sentences of context
    seconds: tuple[float, ...]
    bytes_read: int  # of weights, in one step
    read_speed: float  # of plain memory between the same rounds, in bytes a second

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.seconds)

    @property
    def speed(self) -> float:
        """Weights read, in bytes a second."""
        return self.bytes_read / self.median


def token_steps(
    engines: Sequence[Engine],
    texts: int,
    memory: Memory,
    *,
    beam_size: int,
    steps: int,
    rounds: int,
) -> list[Timing]:
    """Time the token step of each engine with so many texts together; engines take turns."""
    for engine in engines:  # what is set up at a first use is not a step's time
        engine.search(texts, beam_size, min(steps, 3))
    taken: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        memory.read()
        for engine in engines:
            once = _timed(lambda: engine.search(texts, beam_size, steps))  # noqa: B023
            taken[engine.name].append(once / steps)
    speed = memory.speed(rounds)
    return [
        Timing(each.name, TOKEN_STEP, texts, tuple(taken[each.name]), each.bytes_read, speed)
        for each in engines
    ]


def next_vectors(
    name: str,
    predictor: Predictor,
    contexts: Sequence[int],
    bytes_read: int,
    memory: Memory,
    *,
    rounds: int = 5,
) -> Iterator[Timing]:
    """Time the predictor's next vector after so many sentences."""
    width = predictor.config.embed_dim
    device = predictor.norm.weight.device
    vector = torch.randn(1, 1, width, device=device).to(predictor.dtype)
    for count in contexts:
        with torch.inference_mode():
            cache = predictor.new_cache()
            predictor(vector.expand(1, count, width), cache)
            for _ in range(2):
                predictor(vector, cache)
            taken = []
            for _ in range(rounds):
                memory.read()
                taken.append(_timed(lambda: predictor(vector, cache)))  # noqa: B023
        yield Timing(name, NEXT_VECTOR, count, tuple(taken), bytes_read, memory.speed(rounds))


class Memory:
    """Plain memory as large as the weights of a step, read again and again beside the engines.

    Less than 256 MiB is not taken: caches would hold it. What else a machine does makes the speed
    of its memory vary, so a step is compared to what was read just before.
    """

    def __init__(self, device: torch.device, size: int) -> None:
        self._data = torch.ones(max(size, _READ_BYTES) // 4, device=device)
        self._speeds: list[float] = []
        _timed(self._data.sum)
        self.read()

    def read(self) -> None:
        """Read all of it once."""
        self._speeds.append(4 * len(self._data) / _timed(self._data.sum))

    def speed(self, last: int = 0) -> float:
        """Return the median speed of the last reads (0: of all), in bytes a second."""
        return median(self._speeds[-last:])


def records(timings: Sequence[Timing], against: str | None) -> list[dict[str, Any]]:
    """Return a record a timing, with its ratios.

    `faster` compares an engine's seconds a text to those of `against` with as many texts
    together, `faster_than_alone` to those of `against` with one text.
    """
    theirs = {
        timing.count: timing.median / timing.count
        for timing in timings
        if timing.engine == against and timing.what == TOKEN_STEP
    }
    return [_record(timing, theirs) for timing in timings]


def _record(timing: Timing, theirs: dict[int, float]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "engine": timing.engine,
        "what": timing.what,
        "count": timing.count,
        "seconds": timing.median,
        "rounds": list(timing.seconds),
        "gb_per_second": timing.speed / 1e9,
        "share_of_read_speed": timing.speed / timing.read_speed,
    }
    if timing.what == TOKEN_STEP:
        a_text = timing.median / timing.count
        record["seconds_a_text"] = a_text
        record["texts_a_minute"] = 60 / (a_text * TEXT_STEPS)
        record["faster"] = theirs[timing.count] / a_text if timing.count in theirs else None
        record["faster_than_alone"] = theirs[1] / a_text if 1 in theirs else None
    return record


def page(found: dict[str, Any]) -> str:
    """Return what `run` found as text: the machine in a line, and tables in Markdown."""
    line = (
        f"{found['machine']}; weights: {found['weights']}; beam {found['beam_size']}; "
        f"memory is read at {found['read_gb_per_second']:.1f} GB/s."
    )
    parts = [line, *markdown(found["timings"], found["against"])]
    if loops := found["loops"]:
        rows = [
            [label, *(show(loop) for loop in loops.values())] for label, show in _LOOP_ROWS.items()
        ]
        parts.append(grid(["the loop from files, second start", *loops], rows, right=list(loops)))
    return "\n\n".join(parts)


_LOOP_ROWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "torch's import": lambda loop: f"{loop['import_torch']:.2f} s",
    "loading, after that": lambda loop: f"{loop['load']:.2f} s",
    "the first token step, after torch's import": lambda loop: f"{loop['first_step']:.2f} s",
    "the first sentence, after loading": lambda loop: f"{loop['sentences'][0]:.2f} s",
    "the sixth sentence": lambda loop: f"{loop['sentences'][-1]:.2f} s",
    "peak memory": lambda loop: f"{loop['peak_bytes'] / 1e9:.2f} GB",
}


def markdown(found: Sequence[dict[str, Any]], against: str | None) -> list[str]:
    """Return the records as Markdown tables: one of token steps, one of the predictor."""
    steps = [each for each in found if each["what"] == TOKEN_STEP]
    vectors = [each for each in found if each["what"] == NEXT_VECTOR]
    parts = []
    if steps:
        head = ["engine", "texts", "s a step", "s a step and text", "texts a minute", "GB/s"]
        if against:
            head += [f"x {against} with as many", f"x {against} alone"]
        rows = [_step_row(each, bool(against)) for each in steps]
        parts.append(grid(head, rows, right=head[1:]))
    if vectors:
        head = ["predictor", "sentences before", "s a sentence", "GB/s", "x reading its weights"]
        parts.append(grid(head, [_vector_row(each) for each in vectors], right=head[1:]))
    return parts


def _step_row(each: dict[str, Any], compared: bool) -> list[Any]:
    row = [each["engine"], each["count"], f"{each['seconds']:.4f}"]
    row += [f"{each['seconds_a_text']:.4f}", f"{each['texts_a_minute']:.1f}"]
    row.append(f"{each['gb_per_second']:.1f}")
    return row + [_times(each["faster"]), _times(each["faster_than_alone"])] * compared


def _vector_row(each: dict[str, Any]) -> list[Any]:
    row = [each["engine"], each["count"], f"{each['seconds']:.4f}", f"{each['gb_per_second']:.1f}"]
    return [*row, _times(1 / each["share_of_read_speed"])]


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def machine(device: torch.device) -> str:
    """Name the machine, its threads and PyTorch in a line."""
    cuda = device.type == "cuda"
    processor = torch.cuda.get_device_name(device) if cuda else _processor()
    return f"{processor}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _timed(run: Callable[[], object]) -> float:
    started = perf_counter()
    result = run()
    if isinstance(result, Tensor) and result.is_cuda:
        torch.cuda.synchronize(result.device)
    return perf_counter() - started
