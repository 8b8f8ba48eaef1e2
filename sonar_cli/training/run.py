"""A recipe -> a trained folder: corpus, network, training, weights, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.formats.system import save_system
from sonar_cli.model.load import load_codec, pick_device
from sonar_cli.options import GenerationOptions, ModelPaths, Runtime
from sonar_cli.pipeline import write_many
from sonar_cli.training.corpus import Corpus, prepare
from sonar_cli.training.loop import Schedule, fit
from sonar_cli.training.recipe import Recipe
from sonar_cli.training.record import write_whole
from sonar_cli.training.systems import (
    TextsLoss,
    build_network,
    started_from,
    system_of,
    texts_loss,
)

Notify = Callable[[str], None]

# Held-out texts that a validation measures, and those that it continues as a sample.
_VALIDATED, _CONTINUED = 64, 2
# A codec of at most so many bytes is copied beside what was trained on it.
_SMALL = 64 << 20


def train(
    recipe: Recipe,
    paths: ModelPaths,
    out: Path,
    *,
    identity: str = "",
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
    resume: bool = True,
    notify: Notify = lambda line: None,
) -> Path:
    """Train a recipe on the codec at `paths`; return the folder that `-m` takes.

    A recipe that starts from a model starts from the predictor at `paths`.

    `out` gets corpus/, log.jsonl, checkpoint.pt, samples.jsonl, recipe.toml, metrics.json and, in
    one move at the end, model/. A run that was stopped goes on from its checkpoint. `identity`
    names the codec. Raises UsageError for data without a text, or another recipe in `out`.
    """
    if (out / "recipe.json").exists():
        raise UsageError(f"{out} holds the training of a codec or of mini; give another folder")
    if threads:
        torch.set_num_threads(threads)
    where = pick_device(device)
    codec = load_codec(paths, Runtime(device))
    if not isinstance(codec, NativeCodec):
        raise UsageError("training needs our own codec; leave out --codec sonar-space")
    if not resume:
        shutil.rmtree(out / "corpus", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "recipe.toml", recipe.toml())
    corpus = prepare(out / "corpus", recipe.data, codec, paths, identity, progress, notify)
    torch.manual_seed(recipe.train.seed)
    if recipe.start is not None and paths.predictor is not None:
        network = started_from(paths.predictor, paths.predictor_config, recipe.system)
    else:
        network = build_network(recipe, codec, corpus)
    network.to(where)
    began = perf_counter()
    loss = texts_loss(network, recipe, codec, corpus, where)
    before = _before(network, loss, corpus, recipe) if recipe.start is not None else {}
    _fit(network, loss, recipe, codec, corpus, out, progress, resume)
    figures = (
        _validated(loss, corpus, recipe)
        | before
        | {
            "parameters": sum(each.numel() for each in network.parameters()),
            "steps": recipe.train.steps,
            "seconds": round(perf_counter() - began, 1),
        }
    )
    write_whole(out / "metrics.json", json.dumps(figures, indent=2) + "\n")
    return _export(network, paths, out)


def _fit(
    network: nn.Module,
    loss: TextsLoss,
    recipe: Recipe,
    codec: NativeCodec,
    corpus: Corpus,
    out: Path,
    progress: bool,
    resume: bool,
) -> None:
    how = recipe.train
    batches = corpus.batches(how)

    def step_loss(step: int) -> Tensor:
        texts = corpus.train[batches.at(step)].tolist()
        return loss(texts, step < recipe.objective.vector_steps)

    def validate() -> Mapping[str, float]:
        _sample(network, codec, corpus, out)
        return _validated(loss, corpus, recipe)

    def describe(step: int) -> str:
        return f"texts {', '.join(map(str, sorted(corpus.train[batches.at(step)].tolist())))}"

    made_of = {name: value for name, value in asdict(recipe).items() if name != "train"}
    made_of |= {"batch": how.batch, "corpus": corpus.digest}
    del made_of["data"]["workers"]
    fit(
        {"network": network}, step_loss, Schedule.of(how), out,
        name=recipe.system, recipe=made_of, evaluate=validate, describe=describe,
        progress=progress, resume=resume,
    )  # fmt: skip
    network.eval()


def _before(
    network: nn.Module, loss: TextsLoss, corpus: Corpus, recipe: Recipe
) -> dict[str, float]:
    """Return the validation loss of the model that the training starts from."""
    network.eval()
    found = _validated(loss, corpus, recipe)
    network.train()
    return {f"{name}_before": value for name, value in found.items()}


@torch.no_grad()
def _validated(loss: TextsLoss, corpus: Corpus, recipe: Recipe) -> dict[str, float]:
    """Return the loss on the first held-out texts, in batches as in training."""
    texts = corpus.valid[:_VALIDATED].tolist()
    if not texts:
        return {}
    size = recipe.train.batch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a diffusion's times and noise are the same at every validation
        pieces = [texts[start : start + size] for start in range(0, len(texts), size)]
        losses = [len(piece) * loss(piece, False).item() for piece in pieces]
    return {"valid_loss": round(sum(losses) / len(texts), 5)}


def _sample(network: nn.Module, codec: NativeCodec, corpus: Corpus, out: Path) -> None:
    """Continue the first sentences of held-out texts, and add them to samples.jsonl."""
    texts = [corpus.documents.row(text)[:2].tolist() for text in corpus.valid[:_CONTINUED]]
    if not texts:
        return
    lines = (out / "corpus" / "sentences.jsonl").open(encoding="utf-8")
    with lines:
        wanted = {number for text in texts for number in text}
        known = {n: json.loads(line) for n, line in enumerate(lines) if n in wanted}
    prompts = [[known[number] for number in text] for text in texts]
    options = GenerationOptions(sentences=3, seed=0, beam_size=1, max_tokens=40)
    written: list[list[str]] = [[] for _ in prompts]
    steps = write_many(system_of(network, codec), prompts, options, len(prompts))
    for number, step in steps:
        if step.text is not None:
            written[number].append(step.text)
    with (out / "samples.jsonl").open("a", encoding="utf-8") as file:
        for prompt, text in zip(prompts, written, strict=True):
            record = {"prompt": prompt, "text": text}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _export(network: nn.Module, paths: ModelPaths, out: Path) -> Path:
    """Write out/model in one move: the network, the recipe and figures, and a small codec."""
    partial, final = out / "model.partial", out / "model"
    shutil.rmtree(partial, ignore_errors=True)
    save_system(network, partial / "predictor")
    for name in ("recipe.toml", "metrics.json"):
        shutil.copy(out / name, partial / name)
    parts = {"encoder": paths.encoder, "decoder": paths.decoder, "tokenizer": paths.tokenizer}
    if sum(map(_bytes, parts.values())) <= _SMALL and all(p.is_dir() for p in parts.values()):
        for part, path in parts.items():
            shutil.copytree(path, partial / part)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    return final


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else islice([path], 1)
    return sum(file.stat().st_size for file in files if file.is_file())
