"""Seconds and memory of a long context: reading it, and writing one sentence after it.

Both kinds of system are given sentences of exactly as many tokens. A sentence-level system encodes
them and reads their vectors; to write, it proposes a vector, decodes it with its beam search, and
reads it, a SONAR-LLM encoded once again. A token-level Llama reads the same number of tokens; to
write, it takes the likeliest token again and again, and reads each.

Token ids are random, and no sentence ends before its last token, so that times do not depend on
what the weights have learned: random weights of any shape take as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from sonar_cli.evaluation.bench.engines import NativeEngine, pack_all
from sonar_cli.evaluation.bench.startup import peak_bytes
from sonar_cli.evaluation.bench.timing import timed
from sonar_cli.evaluation.paper.networks import Networks
from sonar_cli.evaluation.report import Column, Record, Table
from sonar_cli.model.shapes import LlamaConfig, TwoTowerConfig
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.llama import Llama
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.options import GenerationOptions

# Contexts in sentences: 16 to 16,384.
CONTEXTS = tuple(2**power for power in range(4, 15))

# Sentences that are encoded together, as in `NativeCodec.encode`.
_TOGETHER = 32
# Sentences of the context that everything is done with once before it is measured, because the
# first use may set things up.
_WARM_UP = 16


@torch.inference_mode()
def measure(
    networks: Networks,
    sentences: int,
    tokens: int = 20,
    *,
    reads: int = 3,
    writes: int = 5,
    options: GenerationOptions | None = None,
) -> Record:
    """Measure a system on one context of `sentences` sentences, `tokens` tokens each.

    The context is read `reads` times; then a sentence is written `writes` times, each time right
    after the context. Of the options `beam_size`, `diffusion_steps`, `guidance` and `initial_noise`
    count.

    The record has the medians `encode_seconds` (0 of a token-level system), `read_seconds` and
    `write_seconds`, and all times in the lists `encode_rounds`, `read_rounds` and `write_rounds`.
    `cache_bytes` is the context's part of the key-value cache (see the function). `peak_bytes` is
    the most memory that the process had, weights included, or on CUDA the most that was allocated.
    Memory that earlier work left to the process counts, and where the system is not Linux also its
    earlier peak, so that each pair is best measured in a process of its own.

    Raises ValueError where there would be no sentence, token or round.
    """
    if min(sentences, tokens, reads, writes) < 1:
        raise ValueError("sentences, tokens, reads and writes are at least 1")
    network, of_tokens = networks.network, isinstance(networks.network, TokenLLM)
    options = options or GenerationOptions()
    run: _Vectors | _Tokens
    if of_tokens:
        run = _Tokens(networks, min(sentences, _WARM_UP), tokens)
    else:
        run = _Vectors(networks, min(sentences, _WARM_UP), tokens, options)
    _times(run, 1, 1)
    _forget_peak(network.device)
    run.sentences = sentences
    taken = _times(run, reads, writes)
    positions = sentences * tokens if of_tokens else sentences
    return {
        "system": networks.name,
        "sentences": sentences,
        "tokens": tokens,
        **{f"{part}_seconds": median(each or [0.0]) for part, each in taken.items()},
        **{f"{part}_rounds": each for part, each in taken.items()},
        "cache_bytes": cache_bytes(network.config, positions, network.dtype.itemsize),
        "peak_bytes": _peak(network.device),
    }


def cache_bytes(config: LlamaConfig, positions: int, item: int = 4) -> int:
    """Return the bytes of the keys and values of so many positions, of `item` bytes a number.

    A position is a sentence's vector or a token. Those of a two-tower LCM's denoiser count as well;
    memory that is reserved for further positions does not.

    >>> from sonar_cli.evaluation.bench.weights import FULL
    >>> cache_bytes(FULL.predictor, 100), cache_bytes(FULL.predictor, 6000)
    (27852800, 1671168000)
    """
    numbers = 2 * config.layers * config.kv_heads * config.head_dim
    if isinstance(config, TwoTowerConfig):
        numbers += 2 * config.denoiser_layers * config.heads * config.head_dim
    return positions * numbers * item


@dataclass(frozen=True)
class Crossover:
    """Where the cheaper of two systems changes: between contexts of `low` and `high` sentences.

    `before` is the cheaper one at `low`, `after` at `high`: "ours" or "theirs". Where they are the
    same, no change was found in the whole range.
    """

    low: int
    high: int
    before: str
    after: str

    @property
    def found(self) -> bool:
        """Whether the cheaper one changes."""
        return self.before != self.after

    def __str__(self) -> str:
        if not self.found:
            return f"none in the range: {self.before} is cheaper at {self.low} and at {self.high}"
        return f"{self.before} is cheaper at {self.low}, {self.after} at {self.high}"


def crossover(
    ours: Callable[[int], float],
    theirs: Callable[[int], float],
    low: int,
    high: int,
    ratio: float = 1.05,
) -> Crossover:
    """Find where two costs cross between contexts of `low` and `high` sentences, by bisection.

    A cost takes a number of sentences and returns seconds, as measured; both are asked once at the
    ends and at each middle, which is that of the logarithms. The search goes on until `high` is at
    most `ratio` times `low`, or the next number. Ours counts as cheaper where both cost the same.
    Of several crossings one is found, of an even number none. Raises ValueError unless
    1 <= low < high.

    >>> print(crossover(lambda n: 3.0, lambda n: 0.01 * n, 16, 16_384))
    theirs is cheaper at 299, ours at 307
    >>> print(crossover(lambda n: 3.0, lambda n: 2.0, 16, 16_384))
    none in the range: theirs is cheaper at 16 and at 16384
    """
    if not 1 <= low < high:
        raise ValueError(f"a range begins at 1 or above and ends later, not {low} to {high}")

    def cheaper(sentences: int) -> str:
        return "ours" if ours(sentences) <= theirs(sentences) else "theirs"

    before, after = cheaper(low), cheaper(high)
    while before != after and high > max(low + 1, ratio * low):
        middle = min(max(round(math.sqrt(low * high)), low + 1), high - 1)
        if cheaper(middle) == before:
            low = middle
        else:
            high = middle
    return Crossover(low, high, before, after)


def table(records: Sequence[Record]) -> Table:
    """Return the table of what `measure` returned for systems and contexts."""
    return Table("costs", COLUMNS, records)


class _Vectors:
    """A sentence-level system, and a context of `sentences` random sentences.

    What the methods return is what their end has to be waited for.
    """

    def __init__(
        self, networks: Networks, sentences: int, tokens: int, options: GenerationOptions
    ) -> None:
        assert networks.encoder is not None and networks.decoder is not None
        assert not isinstance(networks.network, TokenLLM)
        self.network, self.encoder = networks.network, networks.encoder
        self.sentences, self.tokens, self.options = sentences, tokens, options
        # As they are after some sentences.
        pack_all(networks.decoder)
        self.search = NativeEngine(networks.name, networks.decoder, 0).search

    def encode(self) -> Tensor:
        """Turn the context's sentences into vectors (sentences, D)."""
        # The language token and eos are beside a sentence's own tokens.
        ids = _ids(self.network, self.sentences, self.tokens + 2, self.encoder.config.vocab_size)
        self.vectors = torch.cat([self.encoder(batch) for batch in ids.split(_TOGETHER)])
        return self.vectors

    def read(self) -> Tensor:
        """Read the vectors into a new cache; keep the last hidden state, or a denoiser's keys."""
        self.known, self.cache = self.vectors[:0], self.network.new_cache()
        self.known = self._next(self.vectors)
        return self.known

    def write(self) -> Tensor:
        """Write a sentence after the context and read it, as if none had been written before."""
        self.cache.lengths = [self.sentences]
        new = self._propose()
        # Eos comes after the sentence's own tokens.
        self.search(1, self.options.beam_size, self.tokens + 1)
        if isinstance(self.network, Predictor):
            new = self.encoder(
                _ids(self.network, 1, self.tokens + 2, self.encoder.config.vocab_size)
            )
        return self._next(new)

    def _next(self, vectors: Tensor) -> Tensor:
        """Read vectors (T, D); return what the next one is proposed from."""
        hidden = self.network.hidden(vectors.to(self.network.dtype).unsqueeze(0), self.cache)
        return self.network.keys(hidden) if isinstance(self.network, TwoTowerLCM) else hidden[:, -1]

    def _propose(self) -> Tensor:
        """Return the next vector (1, D)."""
        network = self.network
        if isinstance(network, Predictor):
            proposed: Tensor = network.reverse_proj(self.known)
            return proposed
        if isinstance(network, BaseLCM):
            return network.predict(self.known)
        noise = self.options.initial_noise * torch.randn(1, network.config.embed_dim)
        return network.sample(
            self.known,
            torch.tensor([self.sentences], device=network.device),
            noise.to(network.device),
            self.options.diffusion_steps,
            self.options.guidance,
        )


class _Tokens:
    """A token-level system, and a context of as many random tokens."""

    def __init__(self, networks: Networks, sentences: int, tokens: int) -> None:
        assert isinstance(networks.network, TokenLLM)
        self.network, self.sentences, self.tokens = networks.network, sentences, tokens

    def read(self) -> Tensor:
        """Read the context into a new cache; keep the logits (1, V) of what follows."""
        count, vocabulary = self.sentences * self.tokens, self.network.config.vocab_size
        self.cache = self.network.new_cache()
        self.logits = self.network.following(_ids(self.network, 1, count, vocabulary), self.cache)
        return self.logits

    def write(self) -> Tensor:
        """Write a sentence after the context, as if none had been written before."""
        self.cache.lengths = [self.sentences * self.tokens]
        logits = self.logits
        for _ in range(self.tokens):
            logits = self.network.following(logits.argmax(1, keepdim=True), self.cache)
        return logits


def _times(run: _Vectors | _Tokens, reads: int, writes: int) -> dict[str, list[float]]:
    """Return the seconds of each part, all rounds of it."""
    taken: dict[str, list[float]] = {"encode": [], "read": [], "write": []}
    for _ in range(reads):
        if isinstance(run, _Vectors):
            taken["encode"].append(timed(run.encode))
        taken["read"].append(timed(run.read))
    taken["write"] += [timed(run.write) for _ in range(writes)]
    return taken


def _ids(like: Llama, rows: int, columns: int, vocabulary: int) -> Tensor:
    """Return random ids (rows, columns) int64 on a network's device, the same every time."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(vocabulary, (rows, columns), generator=random).to(like.device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # on Linux, the peak becomes what is in memory now
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_bytes()


def _seconds(value: float) -> str:
    return f"{value:.4f}"


def _megabytes(value: int) -> str:
    return f"{value / 1e6:,.1f}"


COLUMNS = (
    Column("system", "system", left=True),
    Column("sentences", "sentences"),
    Column("encode_seconds", "s to encode them", _seconds),
    Column("read_seconds", "s to read them", _seconds),
    Column("write_seconds", "s to write one", _seconds),
    Column("cache_bytes", "cache, MB", _megabytes),
    Column("peak_bytes", "peak memory, MB", _megabytes),
)
