"""The costs of long contexts for all four systems, each measured once and kept in a file."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sonar_cli.evaluation.bench.weights import SIZES
from sonar_cli.evaluation.paper.cost import crossover, measure
from sonar_cli.evaluation.paper.flops import Flops, sentence_level, token_level
from sonar_cli.evaluation.paper.networks import Networks, random_networks, shapes
from sonar_cli.evaluation.paper.parts import PARTS, cost_of
from sonar_cli.evaluation.paper.terms import CostTerms
from sonar_cli.evaluation.report import Record
from sonar_cli.model.shapes import LlamaConfig, TokenLLMConfig, TransformerConfig
from sonar_cli.training.record import digest, read_record, write_whole

# Where the FLOPs of a SONAR-LLM fall below a token-level model's in arXiv 2508.05305.
PAPER_TOKENS = 4_096
# Whose costs are compared.
OURS, THEIRS = "sonar-llm", "llm"


@dataclass(frozen=True)
class Subject:
    """A system whose costs are measured.

    `weights` is "trained" or "random", `name` what tells its weights from others. `config` is its
    network's shape, `codec` those of encoder and decoder. `make` returns the networks.
    """

    weights: str
    system: str
    name: str
    config: LlamaConfig
    codec: tuple[TransformerConfig, TransformerConfig]
    make: Callable[[], Networks]

    @cached_property
    def networks(self) -> Networks:
        """The networks, in memory until they are forgotten."""
        return self.make()

    def forget(self) -> None:
        """Free the networks' memory."""
        if self.__dict__.pop("networks", None) is not None:
            gc.collect()

    def flops(self, sentences: int, tokens: int) -> Mapping[str, int]:
        """Return the FLOPs of encoding and reading a context, and of writing a sentence after it.

        These are `encode_flops`, `read_flops` and `write_flops`; see `flops`.
        """
        whole, again = (self._count(sentences, tokens, cached) for cached in (False, True))
        return {
            "encode_flops": whole.encode,
            "read_flops": whole.read,
            "write_flops": again.total,
        }

    def _count(self, sentences: int, tokens: int, cached: bool) -> Flops:
        if isinstance(self.config, TokenLLMConfig):
            return token_level(self.config, sentences, tokens, cached=cached)
        config: Any = self.config  # one of the sentence-level systems'
        return sentence_level(config, *self.codec, sentences, tokens, cached=cached)


@dataclass(frozen=True)
class Costs:
    """Costs on these terms, kept in `file`; `machine` names what they were measured on.

    Of the same machine, weights and context a cost is measured once. `tell` is told what is
    measured.
    """

    terms: CostTerms
    file: Path
    machine: str
    tell: Callable[[str], None] = lambda line: None

    def by_context(self, subjects: Sequence[Subject], contexts: Sequence[int]) -> list[Record]:
        """Return the costs of each subject at each context; see `cost.measure`.

        Only one subject is in memory at a time.
        """
        found: list[Record] = []
        for each in subjects:
            found += [self.at(each, sentences) for sentences in contexts]
            each.forget()
        return found

    def at(self, subject: Subject, sentences: int) -> Record:
        """Return the costs of a subject at a context, with the FLOPs that were counted."""
        terms = self.terms
        asked = [subject.weights, subject.system, subject.name, sentences, self.machine]
        key = digest([json.dumps([*asked, terms.tokens, terms.reads, terms.writes])])
        known: dict[str, Record] = {}
        if self.file.exists():
            known = read_record(self.file, "delete it, and it is measured anew")
        if key not in known:
            self.tell(f"{subject.system}, {subject.weights} weights: {sentences} sentences")
            taken = measure(
                subject.networks, sentences, terms.tokens, reads=terms.reads, writes=terms.writes
            )
            network = subject.networks.network
            counted = {
                "weights": subject.weights,
                "of": subject.name,
                "parameters": sum(each.numel() for each in network.parameters()),
                **subject.flops(sentences, terms.tokens),
            }
            known[key] = {**taken, **counted}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, json.dumps(known, indent=1) + "\n")
        return known[key]

    def crossovers(self, subjects: Sequence[Subject], contexts: Sequence[int]) -> list[Record]:
        """Return from which context on SONAR-LLM costs less than the token-level Llama.

        By measured seconds and by counted FLOPs, for each of `PARTS`; see `cost.crossover`.
        """
        if len(contexts) < 2:
            return []
        ours, theirs = (
            next(each for each in subjects if each.system == name) for name in (OURS, THEIRS)
        )
        found = [*self._crossings(ours, theirs, min(contexts), max(contexts))]
        ours.forget()
        theirs.forget()
        return found

    def _crossings(self, ours: Subject, theirs: Subject, low: int, high: int) -> Iterator[Record]:
        def seconds(subject: Subject, part: str) -> Callable[[int], float]:
            return lambda sentences: cost_of(self.at(subject, sentences), part, "seconds")

        def flops(subject: Subject, part: str) -> Callable[[int], float]:
            tokens = self.terms.tokens
            return lambda n: cost_of(subject.flops(n, tokens), part, "flops")

        for unit, cost, ratio in (("seconds", seconds, self.terms.ratio), ("flops", flops, 1.0)):
            for part in PARTS:
                at = crossover(cost(ours, part), cost(theirs, part), low, high, ratio)
                names = {"ours": OURS, "theirs": THEIRS}
                yield {
                    "weights": ours.weights,
                    "unit": unit,
                    "part": part,
                    "found": at.found,
                    "before": names[at.before],
                    "after": names[at.after],
                    "low": at.low,
                    "high": at.high,
                    "low_tokens": at.low * self.terms.tokens,
                    "high_tokens": at.high * self.terms.tokens,
                }


def random_subjects(terms: CostTerms, device: str) -> list[Subject]:
    """Return all four systems at the terms' size, with random weights."""
    sizes = SIZES[terms.size]

    def making(config: LlamaConfig) -> Callable[[], Networks]:
        return lambda: random_networks(config, sizes, device, terms.dtype)

    name, codec = f"{terms.size} {terms.dtype}", (sizes.encoder, sizes.decoder)
    return [
        Subject("random", system, name, config, codec, making(config))
        for system, config in shapes(sizes).items()
    ]
