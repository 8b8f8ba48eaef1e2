"""The comparison of the four systems from beginning to end: trainings, measures, records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from statistics import fmean, stdev

from sonar_cli.evaluation.bench.run import machine
from sonar_cli.evaluation.paper.costs import Costs, Subject, random_subjects
from sonar_cli.evaluation.paper.measured import Measured, Values
from sonar_cli.evaluation.paper.networks import networks_of
from sonar_cli.evaluation.paper.runs import Runs
from sonar_cli.evaluation.paper.scaling import fit
from sonar_cli.evaluation.paper.terms import SYSTEMS, Run, Terms
from sonar_cli.evaluation.paper.texts import stories
from sonar_cli.evaluation.report import Record
from sonar_cli.training.recipe import Kind
from sonar_cli.world.branching import BranchingStory

# The updates after which a system's pace is known.
_PACED = 120


@dataclass(frozen=True)
class Comparison:
    """All four systems on the same terms. Each property trains and measures what it needs.

    A record of a run says which it is: system, size, parameters, seed, rate, steps and the seconds
    that they took.
    """

    runs: Runs

    @property
    def terms(self) -> Terms:
        """The terms."""
        return self.runs.terms

    @cached_property
    def measured(self) -> Measured:
        """The measures of single runs."""
        return Measured(self.runs)

    @cached_property
    def rates(self) -> list[Record]:
        """The learning rate of each system and size, and the nats of each that was tried."""
        return [
            {"size": size, "system": system, "rate": chosen, "tried": tried}
            for size in self.terms.sizes
            for system in SYSTEMS
            for chosen, tried in [self.runs.rate(system, size, self.measured.tried)]
        ]

    @cached_property
    def sizes(self) -> list[Record]:
        """Cross-entropy and BrierLM of every system, size and seed."""
        runs = (
            self._run(system, size, seed)
            for size in self.terms.sizes
            for seed in self.terms.seeds
            for system in SYSTEMS
        )
        return self._records(runs, self.measured.likelihood)

    @cached_property
    def entropy(self) -> dict[str, float]:
        """What the grammar of the held-out stories tells of each sentence, given those before.

        `bits_a_sentence` and, over the tokens that cross-entropies are divided by, `nats_a_token`:
        no model can expect less. Empty where texts are not of the branching world.
        """
        told = [each for each in stories(self.terms) if isinstance(each, BranchingStory)]
        bits = [bit for each in told for bit in each.bits[1:]]
        if not bits:
            return {}
        tokens = self.sizes[0]["tokens"]
        return {"bits_a_sentence": fmean(bits), "nats_a_token": log(2) * sum(bits) / tokens}

    @cached_property
    def fits(self) -> list[Record]:
        """The curve `nats = a N ** -alpha + b` of every system, where the terms have the sizes."""
        if len(self.terms.sizes) < 3:
            return []
        return [{"system": system, **_fitted(self.sizes, system)} for system in SYSTEMS]

    @cached_property
    def timed(self) -> list[Record]:
        """Likelihoods at the largest size after the same seconds of training, not steps.

        The seconds are the terms' or, with 0, those of the system whose steps take longest. A
        system's steps in these seconds follow from the pace of a short run that is made for it
        alone, the four of them one after the other, while the machine does nothing else.
        """
        paces = {system: self._pace(system) for system in SYSTEMS}
        seconds = self.terms.seconds or max(paces.values()) * self.terms.steps
        runs = (
            replace(run, steps=_rounded(seconds / paces[run.system])) for run in self._largest()
        )
        return self._records(runs, self.measured.likelihood)

    @cached_property
    def quality(self) -> list[Record]:
        """How every system continues held-out texts, at the largest size."""
        return self._records(self._largest(), self.measured.quality)

    @cached_property
    def summaries(self) -> list[Record]:
        """How every system sums up, at the largest size; none where no text has a summary."""
        if not self.terms.data.summaries:
            return []
        return self._records(self._largest(), self.measured.summaries)

    @cached_property
    def needles(self) -> list[Record]:
        """How often each system, trained anew on needles, finds one: by seed, context and depth.

        The learning rate is the one that was chosen on the comparison's own texts.
        """
        if not self.terms.needle.contexts:
            return []
        terms = self.terms.of_needle()
        measured = Measured(self.runs.on(terms))
        return [
            {**measured.runs.facts(run), **record}
            for run in (replace(each, steps=terms.steps) for each in self._largest())
            for record in measured.needle(run)
        ]

    @cached_property
    def costs(self) -> list[Record]:
        """Seconds, memory and FLOPs by context, of trained systems and of random weights."""
        terms = self.terms.cost
        found = self._costs.by_context(self._trained, terms.contexts) if terms.contexts else []
        return found + self._costs.by_context(self._random, terms.random_contexts)

    @cached_property
    def crossovers(self) -> list[Record]:
        """The contexts from which on SONAR-LLM costs less than the token-level Llama."""
        terms = self.terms.cost
        found = self._costs.crossovers(self._trained, terms.contexts) if terms.contexts else []
        return found + self._costs.crossovers(self._random, terms.random_contexts)

    @cached_property
    def machine(self) -> str:
        """The processor or GPU, torch's threads and its version."""
        return machine(self.runs.codec.device)

    @cached_property
    def _costs(self) -> Costs:
        return Costs(self.terms.cost, self.runs.folder / "costs.json", self.machine, self.runs.tell)

    @cached_property
    def _trained(self) -> list[Subject]:
        """The largest systems of the first seed."""
        return [self._subject(self._largest_of(system)) for system in SYSTEMS]

    @cached_property
    def _random(self) -> list[Subject]:
        return random_subjects(self.terms.cost, str(self.runs.codec.device))

    def _subject(self, run: Run) -> Subject:
        networks = networks_of(self.runs.system(run))
        codec = self.runs.codec
        name, config = self.runs.of(run).name, networks.network.config
        halves = codec.encoder.config, codec.decoder.config
        return Subject("trained", run.system, name, config, halves, lambda: networks)

    def _run(self, system: Kind, size: int, seed: int) -> Run:
        rates = {(each["system"], each["size"]): each["rate"] for each in self.rates}
        return Run(system, size, seed, rates[system, size], self.terms.steps)

    def _largest(self) -> Iterator[Run]:
        for seed in self.terms.seeds:
            for system in SYSTEMS:
                yield self._run(system, max(self.terms.sizes), seed)

    def _pace(self, system: Kind) -> float:
        run = self._largest_of(system)
        return self.runs.pace(replace(run, steps=min(run.steps, _PACED)))

    def _largest_of(self, system: Kind) -> Run:
        """Return a system's largest run of the first seed."""
        return self._run(system, max(self.terms.sizes), self.terms.seeds[0])

    def _records(self, runs: Iterator[Run], measure: Callable[[Run], Values]) -> list[Record]:
        return [{**self.runs.facts(run), **measure(run)} for run in runs]


def summed_up(records: Sequence[Record], name: str) -> list[Record]:
    """Return a measure's mean and spread over seeds, for every system and size.

    The spread is the standard deviation, 0 of a single seed.

    >>> runs = [{"system": "llm", "size": 9, "seed": n, "nats": 1.0 + n} for n in (0, 1)]
    >>> summed_up(runs, "nats")
    [{'system': 'llm', 'size': 9, 'mean': 1.5, 'spread': 0.7071067811865476, 'seeds': 2}]
    """
    groups: dict[tuple[str, int], list[float]] = {}
    for each in records:
        if name in each:
            groups.setdefault((each["system"], each["size"]), []).append(each[name])
    return [
        {
            "system": system,
            "size": size,
            "mean": fmean(values),
            "spread": stdev(values) if len(values) > 1 else 0.0,
            "seeds": len(values),
        }
        for (system, size), values in groups.items()
    ]


def _fitted(sizes: Sequence[Record], system: Kind) -> Mapping[str, object]:
    """Fit a curve to a system's cross-entropies, and return it as a record."""
    points: dict[int, list[float]] = {}
    for each in sizes:
        if each["system"] == system:
            points.setdefault(each["parameters"], []).append(each["nats"])
    found = fit(points)
    intervals = {
        f"{name}_{end}": value
        for name, interval in found.intervals.items()
        for end, value in zip(("low", "high"), interval, strict=True)
    }
    curve = {name: getattr(found, name) for name in ("a", "alpha", "b", "r2")}
    return {**curve, **intervals, "notes": list(found.notes)}


def _rounded(steps: float) -> int:
    """Round to two digits, so that a run is found again after another measured pace.

    >>> _rounded(1234.5), _rounded(7.2)
    (1200, 7)
    """
    return max(1, int(float(f"{steps:.2g}")))
