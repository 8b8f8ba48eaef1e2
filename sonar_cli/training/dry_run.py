"""What a recipe would take: parameters, tokens, FLOPs, memory and time, from a few real steps."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import nn

from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec, pick_device
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.options import ModelPaths, Runtime
from sonar_cli.training import corpus as corpora
from sonar_cli.training.recipe import Recipe
from sonar_cli.training.systems import build_network, texts_loss
from sonar_cli.training.texts import documents

# Texts that the steps are tried on, and steps: the first of them is not counted.
_TEXTS, _STEPS = 200, 4


def dry_run(
    recipe: Recipe, paths: ModelPaths, device: str = "auto", threads: int | None = None
) -> dict[str, Any]:
    """Try a few steps of a recipe on its first texts; return what the whole would take.

    `flops_a_step` counts 6 a parameter and position, forward and backward, and for SONAR-LLM's
    frozen decoder 4 a parameter and token, since its weights have no gradients. `peak_bytes` is the
    most memory that this process had (on CUDA: that was allocated there). Encoding the texts comes
    on top of `hours`; SONAR-LLM's `vector_steps` are timed as such.
    """
    if threads:
        torch.set_num_threads(threads)
    where = pick_device(device)
    codec = load_codec(paths, Runtime(device))
    assert isinstance(codec, NativeCodec)
    with TemporaryDirectory() as folder:
        corpus = _first_texts(Path(folder), recipe, codec, paths)
        network = build_network(recipe, codec, corpus).to(where)
        made = (network, recipe, codec, corpus, where)
        step = median(list(_timed_steps(*made))[1:])
        cheap = recipe.objective.vector_steps if recipe.system == "sonar-llm" else 0
        vector_step = median(list(_timed_steps(*made, vectors_only=True))[1:]) if cheap else 0.0
        sizes = _sizes(recipe, corpus)
    seconds = vector_step * cheap + step * (recipe.train.steps - cheap)
    return {
        "system": recipe.system,
        "parameters": sum(each.numel() for each in network.parameters()),
        **{name: round(value, 1) for name, value in sizes.items()},
        "flops_a_step": _flops(network, codec, sizes),
        "seconds_a_step": round(step, 4),
        "tokens_a_second": round(sizes["tokens_a_step"] / step, 1),
        "steps": recipe.train.steps,
        "hours": round(seconds / 3600, 3),
        "peak_bytes": _peak(where),
    }


def _first_texts(
    folder: Path, recipe: Recipe, codec: NativeCodec, paths: ModelPaths
) -> corpora.Corpus:
    data = replace(recipe.data, stories=min(recipe.data.stories, _TEXTS))
    texts = islice(documents(data, lambda line: None), _TEXTS)
    lines = folder / "texts"
    lines.mkdir()
    for number, text in enumerate(texts):
        (lines / f"{number:04}.txt").write_text("\n\n".join(text), encoding="utf-8")
    few = replace(data, path=str(lines), workers=1)
    return corpora.prepare(folder / "corpus", few, codec, paths, "", False, lambda line: None)


def _timed_steps(
    network: nn.Module,
    recipe: Recipe,
    codec: NativeCodec,
    corpus: corpora.Corpus,
    device: torch.device,
    vectors_only: bool = False,
) -> Iterator[float]:
    """Take whole steps, the optimizer's update included; yield the seconds of each."""
    loss = texts_loss(network, recipe, codec, corpus, device)
    batches = corpus.batches(recipe.train)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.train.lr, fused=True)
    for step in range(_STEPS):
        began = perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(corpus.train[batches.at(step)].tolist(), vectors_only).backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.train.clip)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        yield perf_counter() - began


def _sizes(recipe: Recipe, corpus: corpora.Corpus) -> dict[str, float]:
    batches = corpus.batches(recipe.train)
    tokens, sentences = corpus.tokens.lengths, 0
    counted = 0
    for step in range(_STEPS):
        for text in corpus.train[batches.at(step)]:
            numbers = corpus.documents.row(text)
            sentences += len(numbers)
            counted += int(tokens[numbers].sum())
    return {"sentences_a_step": sentences / _STEPS, "tokens_a_step": counted / _STEPS}


def _flops(network: nn.Module, codec: NativeCodec, sizes: dict[str, float]) -> float:
    own = sum(each.numel() for each in network.parameters())
    if isinstance(network, TokenLLM):
        return 6 * own * sizes["tokens_a_step"]
    flops = 6 * own * sizes["sentences_a_step"]
    if isinstance(network, Predictor):
        decoder = sum(each.numel() for each in codec.decoder.parameters())
        flops += 4 * decoder * sizes["tokens_a_step"]
    return flops


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
