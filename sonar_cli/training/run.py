"""A recipe -> a trained folder: corpus, network, training, weights, and what came of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec
from sonar_cli.model.recompute import set_recompute
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import PLAIN, ModelPaths, Runtime
from sonar_cli.training.corpus import Corpus, prepare
from sonar_cli.training.export import export
from sonar_cli.training.loop import Shown, fit
from sonar_cli.training.place import Place, means_of
from sonar_cli.training.processes import Processes
from sonar_cli.training.recipe import Recipe
from sonar_cli.training.record import write_whole
from sonar_cli.training.samples import SAMPLES, write_samples
from sonar_cli.training.schedule import Schedule
from sonar_cli.training.state import Evaluate
from sonar_cli.training.systems import (
    TextsLoss,
    build_network,
    part_loss,
    started_from,
    system_of,
    taught,
    texts_loss,
    vectors_loss,
)

# Held-out texts that a validation measures.
_VALIDATED = 64
# The folder of a SONAR-LLM's first steps, on the vectors alone.
VECTORS = "vectors"
RECIPE = "recipe.toml"


def train(
    recipe: Recipe,
    paths: ModelPaths,
    out: Path,
    *,
    identity: str = "",
    place: Place | None = None,
    resume: bool = True,
) -> Path:
    """Train a recipe on the codec at `paths`; return the folder that `-m` takes.

    A recipe that starts from a model starts from the predictor at `paths`.

    `out` gets corpus/, log.jsonl, checkpoint.pt, samples.jsonl, recipe.toml, metrics.json and, in
    one move at the end, model/; a SONAR-LLM's first steps on vectors have a log and a checkpoint in
    vectors/. A run that was stopped goes on from its checkpoint. `identity` names the codec.
    Raises UsageError for data without a text, or another recipe in `out`.
    """
    if (out / "recipe.json").exists():
        raise UsageError(f"{out} holds the training of a codec; give another folder")
    place = place or Place()
    processes, device = place.processes()
    place = place.of(processes)
    codec = load_codec(paths, Runtime(device.type), trains=True)
    if not isinstance(codec, NativeCodec):
        raise UsageError("training needs our own codec; leave out --codec sonar-space")
    with processes.in_turn():
        if not processes.rank and not resume:
            shutil.rmtree(out / "corpus", ignore_errors=True)
            (out / RECIPE).unlink(missing_ok=True)
        corpus = prepare(
            out / "corpus", recipe.data, codec, paths, identity, place.progress, place.notify
        )
        # Another recipe may yet be refused: then that of the training which is there has to stay.
        if not processes.rank and not (out / RECIPE).exists():
            write_whole(out / RECIPE, recipe.toml())
    network = _network(recipe, paths, codec, corpus).to(device)
    set_recompute((network, codec.decoder), recipe.train.gradient_checkpointing)
    run = _Training(recipe, network, codec, corpus, out, processes, device, place)
    began = perf_counter()
    before = run.before() if recipe.start is not None else {}
    whole = processes.whole(run.fit(resume)).eval()
    if not processes.rank:
        figures = run.validated(whole) | before
        figures |= {
            "parameters": sum(each.numel() for each in whole.parameters()),
            "steps": recipe.train.steps,
            "seconds": round(perf_counter() - began, 1),
        }
        write_whole(out / RECIPE, recipe.toml())
        write_whole(out / "metrics.json", json.dumps(figures, indent=2) + "\n")
        decoder = codec.decoder if recipe.objective.decoder_learns else None
        export(whole, getattr(torch, recipe.dtype), paths, out, decoder)
    with processes.in_turn():  # nobody leaves before the first has written
        return out / "model"


def _network(recipe: Recipe, paths: ModelPaths, codec: NativeCodec, corpus: Corpus) -> nn.Module:
    torch.manual_seed(recipe.train.seed)
    if recipe.start is not None and paths.predictor is not None:
        network = started_from(paths.predictor, paths.predictor_config, recipe.system)
    else:
        network = build_network(recipe, codec, corpus)
    network = taught(network, corpus)
    if isinstance(network, Predictor) and recipe.drawing != PLAIN:
        network.config = replace(network.config, drawing=recipe.drawing)
    return network


@dataclass(frozen=True)
class _Training:
    """A network and all that its training takes."""

    recipe: Recipe
    network: nn.Module
    codec: NativeCodec
    corpus: Corpus
    out: Path
    processes: Processes
    device: torch.device
    place: Place

    def fit(self, resume: bool) -> nn.Module:
        """Train: first on vectors, where the recipe has such steps, then on the objective.

        Returns the trained network, which is another one where its weights were divided.
        """
        network = self.network
        first = self.recipe.objective.vector_steps
        if first and isinstance(network, Predictor):
            objective, how = self.recipe.objective, self.recipe.train
            schedule = replace(Schedule.of(how), steps=first, lr=objective.vector_lr, ema=0.0)
            loss = vectors_loss(network, self.corpus, self.device)
            self._fit(network, loss, schedule, self.out / VECTORS, resume, None)
            network = self.processes.whole(network)
        loss = texts_loss(network, self.recipe, self.codec, self.corpus, self.device)
        evaluate = partial(self._evaluated, network)
        if not resume:
            (self.out / SAMPLES).unlink(missing_ok=True)
        self._fit(network, loss, Schedule.of(self.recipe.train), self.out, resume, evaluate)
        return network

    def _fit(
        self,
        network: nn.Module,
        loss: TextsLoss,
        schedule: Schedule,
        folder: Path,
        resume: bool,
        evaluate: Evaluate | None,
    ) -> None:
        recipe, corpus, place = self.recipe, self.corpus, self.place
        batches = corpus.batches(recipe.train)
        means = means_of(recipe.train, batches.batch_size, self.processes, self.device)

        def describe(step: int) -> str:
            return f"texts {', '.join(map(str, sorted(corpus.train[batches.at(step)].tolist())))}"

        made_of = {name: value for name, value in asdict(recipe).items() if name != "train"}
        del made_of["data"]["workers"]
        made_of |= {
            "batch": recipe.train.batch,
            "corpus": corpus.digest,
            "precision": str(means.precision).removeprefix("torch."),
        }
        name = recipe.system if folder == self.out else f"{recipe.system} {folder.name}"
        modules = {"network": network}
        if recipe.objective.decoder_learns and folder == self.out:
            modules["decoder"] = self.codec.decoder.requires_grad_(True)
        fit(
            modules, part_loss(loss, corpus, batches, means.parts), schedule, folder,
            recipe=made_of, evaluate=evaluate, describe=describe, means=means,
            shown=Shown(name, place.progress, place.log_to), resume=resume,
        )  # fmt: skip

    def before(self) -> dict[str, float]:
        """Return the validation loss of the model that the training starts from."""
        self.network.eval()
        found = self.validated(self.network)
        self.network.train()
        return {f"{name}_before": value for name, value in found.items()}

    def _evaluated(self, network: nn.Module, step: int) -> Mapping[str, float]:
        whole = self.processes.whole(network)
        if self.processes.rank:
            return {}
        write_samples(self.out, step, system_of(whole, self.codec), self.corpus)
        return self.validated(whole)

    @torch.no_grad()
    def validated(self, network: nn.Module) -> dict[str, float]:
        """Return the loss on the first held-out texts, in batches as in training, in float32."""
        texts = self.corpus.valid[:_VALIDATED].tolist()
        if not texts:
            return {}
        loss = texts_loss(network, self.recipe, self.codec, self.corpus, self.device)
        how = self.recipe.train
        size = how.micro_batch or how.batch
        total = weight = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a diffusion's times and noise are the same at every validation
            for start in range(0, len(texts), size):
                found = loss(texts[start : start + size])
                total, weight = total + found.total.item(), weight + found.weight
        return {"valid_loss": round(total / weight, 5)}
