"""How long a decoder's token step and a predictor's next vector take, beside reading memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from sonar_cli.evaluation.bench.engines import Engine
from sonar_cli.model.systems.sonar_llm import Predictor

# What a Timing times.
TOKEN_STEP, NEXT_VECTOR = "token step", "next vector"
# Bytes that are read at least to measure the memory's speed; fewer might fit into caches.
_LEAST_READ = 2**28


@dataclass(frozen=True)
class Timing:
    """The seconds that an engine took for one step, in each round.

    A step is a token step (`what` is TOKEN_STEP) of `count` texts together, or a predictor's next
    vector (NEXT_VECTOR) after `count` sentences. It reads `bytes_read` of weights. `read_speed` is
    the speed in bytes a second at which plain memory was read between the rounds.
    """

    engine: str
    what: str
    count: int
    seconds: tuple[float, ...]
    bytes_read: int
    read_speed: float

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return median(self.seconds)

    @property
    def speed(self) -> float:
        """The speed at which weights were read, in bytes a second."""
        return self.bytes_read / self.median


class Memory:
    """Plain memory of `size` bytes, but at least 256 MiB, that is read again and again.

    The speed of a machine's memory varies with what else the machine does. So each round of a
    measure reads this memory once, and the measure is compared with those readings.
    """

    def __init__(self, device: torch.device, size: int) -> None:
        self._data = torch.ones(max(size, _LEAST_READ) // 4, device=device)
        self._speeds: list[float] = []
        timed(self._data.sum)
        self.read()

    def read(self) -> None:
        """Read all of it once, and note how fast that was."""
        self._speeds.append(4 * len(self._data) / timed(self._data.sum))

    def speed(self, last: int = 0) -> float:
        """Return the median speed of the `last` readings (0: of all), in bytes a second."""
        return median(self._speeds[-last:])


def token_steps(
    engines: Sequence[Engine],
    texts: int,
    memory: Memory,
    *,
    beam_size: int,
    steps: int,
    rounds: int,
) -> list[Timing]:
    """Time the token step of each engine with so many texts together.

    In a round every engine decodes once, for `steps` token steps; the mean step is the round's
    time. The engines take turns, so that what else the machine does slows all of them.
    """
    # The first use of an engine may set things up, which is no part of a step.
    for engine in engines:
        engine.search(texts, beam_size, min(steps, 3))
    taken: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        memory.read()
        for engine in engines:
            once = timed(lambda: engine.search(texts, beam_size, steps))  # noqa: B023
            taken[engine.name].append(once / steps)
    speed = memory.speed(rounds)
    return [
        Timing(each.name, TOKEN_STEP, texts, tuple(taken[each.name]), each.bytes_read, speed)
        for each in engines
    ]


@torch.inference_mode()
def next_vectors(
    name: str,
    predictor: Predictor,
    contexts: Sequence[int],
    bytes_read: int,
    memory: Memory,
    *,
    rounds: int = 5,
) -> Iterator[Timing]:
    """Time a predictor's next vector after so many sentences, one Timing for each of `contexts`."""
    width = predictor.config.embed_dim
    vector = torch.randn(1, 1, width, device=predictor.device).to(predictor.dtype)
    for count in contexts:
        cache = predictor.new_cache()
        predictor(vector.expand(1, count, width), cache)
        # The first uses may set things up, which is no part of a step.
        for _ in range(2):
            predictor(vector, cache)
        taken = []
        for _ in range(rounds):
            memory.read()
            taken.append(timed(lambda: predictor(vector, cache)))  # noqa: B023
        yield Timing(name, NEXT_VECTOR, count, tuple(taken), bytes_read, memory.speed(rounds))


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes, until the device has done what it was asked for."""
    started = perf_counter()
    result = run()
    if isinstance(result, Tensor) and result.is_cuda:
        torch.cuda.synchronize(result.device)
    return perf_counter() - started
