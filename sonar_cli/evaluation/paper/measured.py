"""What is measured of each training of a comparison, kept in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sonar_cli.evaluation.paper import nearness, needle, quality, summaries
from sonar_cli.evaluation.paper.brier import brier
from sonar_cli.evaluation.paper.cross_entropy import cross_entropy
from sonar_cli.evaluation.paper.runs import Runs
from sonar_cli.evaluation.paper.terms import Run
from sonar_cli.evaluation.paper.texts import held_out, stories
from sonar_cli.evaluation.report import Record
from sonar_cli.hub.catalogue import summary_training
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.training.record import digest, read_record, write_whole
from sonar_cli.world.choices import Choices
from sonar_cli.world.needle import cases

# Where a run's folder keeps what was measured.
MEASURES = "measures.json"
# The most texts on which learning rates are compared.
_TRIED = 100

# Measures by name.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Measures of trained runs; each is taken once and kept beside the run's weights."""

    runs: Runs

    @cached_property
    def texts(self) -> list[list[str]]:
        """The held-out texts, which every run is measured on."""
        return held_out(self.runs.terms)

    @cached_property
    def tried_on(self) -> list[list[str]]:
        """The texts on which learning rates are compared."""
        return held_out(self.runs.terms, "valid", min(_TRIED, self.runs.terms.texts))

    def require_texts(self) -> None:
        """Raise UsageError where there are no texts to measure on, or no codec."""
        _ = self.runs.paths, self.texts, self.tried_on

    def tried(self, run: Run) -> float:
        """Return the nats a token on texts for validation, by which learning rates are chosen."""
        return self._kept(run, "tried", self._tried)["nats"]

    def likelihood(self, run: Run) -> Values:
        """Return cross-entropy and BrierLM on the held-out texts; see these modules.

        `nats`, `piece_nats` and `sample_nats` are a token, `brier` is BrierLM, `brier_1` to
        `brier_4` are the means that it is made of.
        """
        return self._kept(run, "likelihood", self._likelihood)

    def quality(self, run: Run) -> Values:
        """Return how the run continues the held-out texts; see `quality.measure`."""
        return self._kept(run, "quality", self._quality)

    def summaries(self, run: Run) -> Values:
        """Return how the run sums up held-out stories; see `summaries.measure`."""
        return self._kept(run, "summaries", self._summaries)

    def needle(self, run: Run) -> Sequence[Record]:
        """Return how often the run, trained on needles, finds one; see `needle.measure`."""
        terms = asdict(self.runs.terms.needle)
        read = [terms[name] for name in ("contexts", "depths", "cases", "variety")]
        found: Sequence[Record] = self._kept(run, "needle", self._needle, read)["records"]
        return found

    def nearness(self, run: Run) -> Values:
        """Return how near predicted vectors come to the true ones; see `nearness.nearness`."""
        return self._kept(run, "nearness", self._nearness)

    def tolerance(self) -> Sequence[Record]:
        """Return what an error of vectors costs in the decoder; see `nearness.tolerance`."""

        def make() -> Values:
            self.runs.tell("measuring what the decoder tolerates")
            return {"records": nearness.tolerance(self.runs.codec, self.texts)}

        file = self.runs.folder / "tolerance.json"
        found: Sequence[Record] = _kept(file, self.runs.identity, self._read, make)["records"]
        return found

    @property
    def _read(self) -> Sequence[object]:
        """What names the held-out texts."""
        terms = self.runs.terms
        return [asdict(terms.data), terms.test, terms.texts, terms.sentences]

    def _kept(
        self,
        run: Run,
        name: str,
        make: Callable[[Run], Values],
        read: Sequence[object] = (),
    ) -> Values:
        """Return what was measured of a run, on what is `read`, by default the terms' texts."""
        folder = self.runs.of(run)

        def measured() -> Values:
            self.runs.trained(run)
            self.runs.tell(f"measuring {name} of {folder.name}")
            return make(run)

        return _kept(folder / MEASURES, name, read or self._read, measured)

    def _tried(self, run: Run) -> Values:
        found = cross_entropy(self.runs.system(run), self.tried_on, samples=2)
        return {"nats": found.a_token(found.nats)}

    def _likelihood(self, run: Run) -> Values:
        system = self.runs.system(run)
        found, scores = cross_entropy(system, self.texts), brier(system, self.texts)
        return {
            "tokens": int(found.tokens.sum()),
            "nats": found.a_token(found.nats),
            "piece_nats": found.a_token(found.piece_nats),
            "sample_nats": found.a_token(found.sample_nats),
            "brier": scores.score,
            **{f"brier_{n}": mean for n, mean in enumerate(scores.means, start=1)},
        }

    def _nearness(self, run: Run) -> Values:
        system = self.runs.system(run)
        assert not isinstance(system, TokenLLMSystem)  # it has no vectors
        return nearness.nearness(system, self.texts)

    def _needle(self, run: Run) -> Values:
        terms = self.runs.terms.needle
        choices = Choices(terms.variety)
        asked = cases(terms.cases, terms.contexts, terms.depths, choices=choices)
        options = GenerationOptions(seed=0)
        return {"records": needle.measure(self.runs.system(run), asked, options)}

    def _summaries(self, run: Run) -> Values:
        training = summary_training("", self.runs.of(run) / "model" / "predictor")
        assert training is not None  # the texts of the terms have summaries
        told = stories(self.runs.terms)
        return summaries.measure(self.runs.system(run), self.runs.codec, training, told)

    def _quality(self, run: Run) -> Values:
        terms = self.runs.terms
        of_world = bool(stories(terms, count=1))
        options = GenerationOptions(sentences=terms.sentences, seed=0)
        found = quality.measure(self.runs.system(run), self.texts, options, of_world)
        return found.values


def _kept(file: Path, name: str, read: Sequence[object], make: Callable[[], Values]) -> Values:
    """Return what a file has by a name, if it was made of what is `read`; else make it anew."""
    remedy = "delete it, and it is measured anew"
    known = read_record(file, remedy) if file.exists() else {}
    of = digest([json.dumps(list(read))])
    if known.get(name, {}).get("of") != of:
        known[name] = {"of": of, "values": dict(make())}
        write_whole(file, json.dumps(known, indent=1) + "\n")
    values: Values = known[name]["values"]
    return values
