"""How fast this machine is: a decoder's token step, a predictor's sentence, the whole loop.

A token step multiplies a few rows by all of the decoder's weights, so its time is set by the speed
at which memory is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sonar_cli.cores import processor
from sonar_cli.errors import UsageError
from sonar_cli.evaluation.bench import ctranslate2_engine, startup
from sonar_cli.evaluation.bench.engines import (
    Engine,
    SonarSpaceEngine,
    native,
    native_predictor,
    step_bytes,
)
from sonar_cli.evaluation.bench.tables import loop_table, records, timing_tables
from sonar_cli.evaluation.bench.timing import Memory, Timing, next_vectors, token_steps
from sonar_cli.evaluation.bench.weights import SIZES, random_state, write_weights
from sonar_cli.evaluation.report import Report
from sonar_cli.model.codec import sonar_space
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.formats.codec import read_decoder
from sonar_cli.model.formats.layouts import State
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.load import pick_device
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths

# Told in a line what is being done.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What `run` measures.

    `model` is the model whose weights are measured; None for random ones of a `size` of `SIZES`.
    `against` adds an opponent: "plain", "sonar-space", or "ctranslate2" in each of `dtypes` that it
    has. Token steps are measured with each number
    of `texts` together, `steps` in a search of `beam_size`; next vectors after each number of
    `contexts`, in sentences. Each is repeated for `rounds`, in every one of `dtypes`.

    The whole loop is run from the files of `model`, or from random weights in the folder `files`,
    where they are written if they are not there yet; with neither it is not run. `threads` are the
    CPU threads of that process, None for torch's own choice.

    Raises UsageError for a model without a predictor.
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

    def __post_init__(self) -> None:
        if self.model and self.model.predictor is None:
            raise UsageError("this model is a codec alone; name one with a predictor")


def run(plan: Plan, tell: Tell = lambda line: None) -> Report:
    """Measure by a plan. `tell` is told in a line what is being done.

    The report's notes are `machine`, `weights`, `beam_size`, `read_gb_per_second` and `against`;
    its tables are `timings` (see `tables.records`) and `loops` (see `startup.measure`).

    Raises UsageError for a device that cannot be had or int8 on another one than the CPU,
    SonarError where sonar-space is not installed or the loop from files fails.
    """
    device = pick_device(plan.device)
    if "int8" in plan.dtypes and device.type != "cpu":
        raise UsageError("--dtype int8 runs on the CPU only; add --device cpu")
    if plan.against == "sonar-space":
        sonar_space.require()
    if plan.against == "ctranslate2":
        ctranslate2_engine.require()
        if device.type != "cpu":
            raise UsageError("--against ctranslate2 is for the CPU; add --device cpu")
    memory = Memory(device, step_bytes(_decoder_config(plan)))
    steps, opponents = _token_steps(plan, device, memory, tell)
    found = records([*steps, *_next_vectors(plan, device, memory, tell)], opponents)
    notes = {
        "machine": machine(device),
        "weights": str(plan.model.predictor) if plan.model else f"random, {plan.size} size",
        "beam_size": plan.beam_size,
        "read_gb_per_second": memory.speed() / 1e9,
        "against": plan.against,
    }
    line = (
        f"{notes['machine']}; weights: {notes['weights']}; beam {notes['beam_size']}; "
        f"memory is read at {notes['read_gb_per_second']:.1f} GB/s."
    )
    tables = [*timing_tables(found, plan.against), loop_table(_loops(plan, tell))]
    return Report(tables, notes=notes, line=line)


def _token_steps(
    plan: Plan, device: torch.device, memory: Memory, tell: Tell
) -> tuple[list[Timing], dict[str, str]]:
    """Time the decoders' token steps; return also the name of each engine's opponent."""
    if not plan.texts:
        return [], {}
    tell("preparing weights")
    engines, opponents = _engines(plan, device)
    timings: list[Timing] = []
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
    return timings, opponents


def _next_vectors(plan: Plan, device: torch.device, memory: Memory, tell: Tell) -> list[Timing]:
    """Time the predictor's next vectors in each dtype, with one predictor in memory at a time."""
    timings: list[Timing] = []
    for dtype in plan.dtypes if plan.contexts else ():
        tell(f"the predictor in {dtype}")
        timings += _next_vectors_in(dtype, plan, device, memory)
    return timings


def _next_vectors_in(dtype: str, plan: Plan, device: torch.device, memory: Memory) -> list[Timing]:
    predictor, bytes_read = native_predictor(*_predictor(plan), device, dtype)
    name, rounds = f"native {dtype}", plan.rounds
    return list(next_vectors(name, predictor, plan.contexts, bytes_read, memory, rounds=rounds))


def _engines(plan: Plan, device: torch.device) -> tuple[list[Engine], dict[str, str]]:
    """Build the decoders to compare, all on the same weights; return also who is whose opponent."""
    config, state = _decoder(plan)
    ours: dict[str, Engine] = {dtype: native(config, state, device, dtype) for dtype in plan.dtypes}
    if plan.against == "ctranslate2":
        theirs: dict[str, Engine] = {
            dtype: ctranslate2_engine.CTranslate2Engine(config, state, dtype)
            for dtype in plan.dtypes
            if dtype in ctranslate2_engine.dtypes()
        }
        return [*ours.values(), *theirs.values()], {
            each.name: theirs[dtype].name
            for dtype in theirs
            for each in (ours[dtype], theirs[dtype])
        }
    other: Engine
    if plan.against == "plain":
        other = native(config, state, device, plan.dtypes[0], packed=False)
    elif plan.against == "sonar-space":
        other = SonarSpaceEngine(config, state, device)
    else:
        return list(ours.values()), {}
    engines = [*ours.values(), other]
    return engines, {each.name: other.name for each in engines}


def _decoder_config(plan: Plan) -> TransformerConfig:
    return read_decoder(plan.model.decoder)[0] if plan.model else SIZES[plan.size].decoder


def _decoder(plan: Plan) -> tuple[TransformerConfig, State]:
    if plan.model:
        return read_decoder(plan.model.decoder)
    config = SIZES[plan.size].decoder
    return config, random_state(TextDecoder, config)


def _predictor(plan: Plan) -> tuple[PredictorConfig, State]:
    if plan.model and plan.model.predictor:
        return read_predictor(plan.model.predictor, plan.model.predictor_config)
    config = SIZES[plan.size].predictor
    return config, random_state(Predictor, config)


def _loops(plan: Plan, tell: Tell) -> dict[str, dict[str, Any]]:
    """Run the whole loop from files in each dtype; dtype -> what `startup.measure` returns."""
    paths = plan.model
    if paths is None:
        if plan.files is None:
            return {}
        tell(f"writing weights to {plan.files}")
        paths = write_weights(plan.files, SIZES[plan.size])
    found = {}
    for dtype in plan.dtypes:
        tell(f"the whole loop from files in {dtype}")
        # The first start reads the files from disk and may quantize them. The second finds them in
        # the system's cache, and the int8 weights in a file, so it is the second that is returned.
        for _ in range(2):
            found[dtype] = startup.measure(paths, plan.device, dtype, plan.threads, plan.steps)
    return found


def machine(device: torch.device) -> str:
    """Return a line with the device's name, torch's threads and its version."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else processor()
    return f"{name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"
