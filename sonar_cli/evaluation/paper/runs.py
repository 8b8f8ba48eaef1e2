"""The trainings of a comparison, each made once and kept in a folder of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sonar_cli.evaluation.paper.shapes import shaped
from sonar_cli.evaluation.paper.terms import Run, Terms
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import AnySystem, load_codec, load_system
from sonar_cli.options import ModelPaths, ModelRequest, Runtime
from sonar_cli.training.place import Place
from sonar_cli.training.recipe import Kind, Recipe
from sonar_cli.training.record import damaged, digest, read_record
from sonar_cli.training.run import train
from sonar_cli.training.systems import empty_network
from sonar_cli.training.tables import Model

# What helps where a file that a training left is damaged.
_REMEDY = "delete its folder, and it is trained anew"
# judge(run) -> how bad a trained run is on held-out texts
Judge = Callable[[Run], float]
# tell(line): what is being done, for the terminal
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Runs:
    """The trainings under `folder` on these terms; `tell` is told what is trained or measured.

    A run's folder is named by a digest of its recipe and its codec, so that the same run is found
    again, one that was stopped goes on, and a changed one is another. All runs share their corpus.
    """

    terms: Terms
    folder: Path
    place: Place
    tell: Tell = lambda line: None

    @cached_property
    def paths(self) -> ModelPaths:
        """The codec's files."""
        return resolve(ModelRequest(self.terms.codec), predictor=False)

    @cached_property
    def codec(self) -> NativeCodec:
        """The codec, on the device of the trainings."""
        codec = load_codec(self.paths, Runtime(self.place.device, threads=self.place.threads))
        assert isinstance(codec, NativeCodec)  # no other is asked for
        return codec

    @cached_property
    def identity(self) -> str:
        """A digest of the codec's weights and tokenizer."""
        files = (self.paths.encoder, self.paths.decoder, self.paths.tokenizer)
        return digest(
            np.fromfile(file, np.uint8)
            for place in files
            for file in ([place] if place.is_file() else sorted(place.iterdir()))
        )

    def on(self, terms: Terms) -> Runs:
        """Return the trainings on other terms of the same codec, which is loaded once."""
        other = replace(self, terms=terms)
        for name in ("paths", "codec", "identity", "_shapes", "_asked"):
            other.__dict__[name] = getattr(self, name)
        return other

    def shape(self, system: Kind, size: int) -> Model:
        """Return the shape of a system of so many parameters."""

        def build(shape: Model) -> nn.Module:
            return empty_network(system, shape, self.codec)

        if (system, size) not in self._shapes:
            self._shapes[system, size] = shaped(system, size, self.terms.layers, build)
        return self._shapes[system, size]

    @cached_property
    def _shapes(self) -> dict[tuple[Kind, int], Model]:
        """The shapes that were found: each takes some hundred networks without weights."""
        return {}

    @cached_property
    def _asked(self) -> set[Path]:
        """The folders of all runs that were asked for."""
        return set()

    def recipe(self, run: Run) -> Recipe:
        """Return a run's recipe."""
        return run.recipe(self.terms, self.shape(run.system, run.size))

    def of(self, run: Run) -> Path:
        """Return a run's folder."""
        recipe = self.recipe(run)
        folder = self.folder / "runs" / run.name(recipe, self.identity)
        self._asked.add(folder)
        return folder

    def trained(self, run: Run) -> Path:
        """Return the folder of a run, after training it where it is not trained yet."""
        recipe, folder = self.recipe(run), self.of(run)
        if not (folder / "model").is_dir():
            self.tell(f"training {folder.name}: seed {run.seed}, {run.rate:g}, {run.steps} steps")
            self._share_corpus(recipe, folder)
            train(recipe, self.paths, folder, identity=self.identity, place=self.place)
        return folder

    def system(self, run: Run) -> AnySystem:
        """Return a trained run's system."""
        request = ModelRequest(str(self.trained(run) / "model"))
        return load_system(resolve(request), Runtime(self.place.device), self.codec)

    def facts(self, run: Run) -> dict[str, Any]:
        """Return what a run is, its folder's name, and what it took to train it."""
        figures = self._figures(run)
        return {
            **asdict(run),
            "run": self.of(run).name,
            "parameters": figures["parameters"],
            "seconds": round(self.pace(run) * run.steps, 1),
        }

    def pace(self, run: Run) -> float:
        """Return the seconds of an update of a trained run, by its log; see `pace_of`."""
        figures = self._figures(run)
        file = self.of(run) / "log.jsonl"
        try:
            log = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            return pace_of(log, run.steps, figures["seconds"])
        except (ValueError, TypeError, KeyError):
            raise damaged(file, _REMEDY) from None

    def effort(self) -> dict[str, float]:
        """Return how many trainings were asked for so far, and the hours that they took."""
        files = [folder / "metrics.json" for folder in sorted(self._asked)]
        took = [read_record(file, _REMEDY)["seconds"] for file in files]
        return {"trainings": len(took), "hours": round(sum(took) / 3600, 2)}

    def rate(self, system: Kind, size: int, judge: Judge) -> tuple[float, dict[float, float]]:
        """Return the learning rate of a system of a size, and what `judge` found of each tried.

        The least is the best. All are tried with the first seed for `tried` steps.
        """
        terms = self.terms
        trials = {
            rate: Run(system, size, terms.seeds[0], rate, terms.tried) for rate in terms.rates
        }
        found = {rate: judge(trial) for rate, trial in trials.items()}
        return min(found, key=found.__getitem__), found

    def _figures(self, run: Run) -> dict[str, Any]:
        """Return what the training left in metrics.json; its weights may be gone."""
        file = self.of(run) / "metrics.json"
        if not file.exists():
            self.trained(run)
        return read_record(file, _REMEDY)

    def _share_corpus(self, recipe: Recipe, folder: Path) -> None:
        made = digest([json.dumps(asdict(recipe.data)), self.identity]).partition(":")[2]
        corpus = self.folder / "corpora" / made
        corpus.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "corpus"
        if not link.exists():
            link.symlink_to(os.path.relpath(corpus, folder), target_is_directory=True)


def pace_of(log: Sequence[Mapping[str, float]], steps: int, seconds: float) -> float:
    """Return the seconds of an update, by the log of a training of `steps` in `seconds`.

    What lies before the log's first line does not count, since torch gets ready there, nor does
    the last step, behind which a validation is. Of a training so short that its log has a single
    line or none between, it is the pace up to that line, or of the whole.

    >>> log = [{"step": 50, "seconds": 35.0}, {"step": 100, "seconds": 60.0}]
    >>> pace_of([*log, {"step": 120, "seconds": 75.0}], steps=120, seconds=76.0)
    0.5
    >>> pace_of(log, steps=100, seconds=61.0), pace_of([], steps=2, seconds=3.0)
    (0.7, 1.5)
    """
    timed = [line for line in log if "seconds" in line and line["step"] < steps]
    if not timed:
        return seconds / steps
    last = timed[-1]
    first = timed[0] if len(timed) > 1 else {"step": 0, "seconds": 0.0}
    return (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
