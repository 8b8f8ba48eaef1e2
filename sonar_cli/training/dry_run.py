"""What a recipe would take: parameters, tokens, FLOPs, memory and time, from a few real steps."""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.recompute import set_recompute
from sonar_cli.model.shapes import SONAR_DECODER
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.training.codec import build_codec, codec_loss, train_tokenizer
from sonar_cli.training.corpus import Corpus, prepare
from sonar_cli.training.place import Place, means_of
from sonar_cli.training.recipe import CodecRecipe, ModelRecipe, Recipe
from sonar_cli.training.schedule import Schedule
from sonar_cli.training.sentences import of_texts
from sonar_cli.training.state import Means, PartLoss, Run
from sonar_cli.training.systems import (
    TextsLoss,
    build_network,
    part_loss,
    texts_loss,
    vectors_loss,
)
from sonar_cli.training.tables import Train
from sonar_cli.training.texts import documents

# The name of a codec of SONAR's size with random weights, for a look at what one would take.
RANDOM = "random"
# Texts that the steps are tried on, and steps: the first of them is not counted. After so many
# seconds one that counts is enough.
_TEXTS, _STEPS, _PATIENCE = 200, 4, 60.0


def dry_run(
    recipe: Recipe, codec: NativeCodec, device: str = "auto", threads: int | None = None
) -> dict[str, Any]:
    """Try a few steps of a recipe on its first texts; return what the whole would take.

    `flops_a_step` counts 6 a parameter and position, forward and backward, and for SONAR-LLM's
    frozen decoder 4 a parameter and token, since its weights have no gradients; what gradient
    checkpointing computes again is not counted. `peak_bytes` is the most memory that this process
    had (on CUDA: that was allocated there). Encoding the texts comes on top of `hours`. With the
    codec `RANDOM` the decoder is one of SONAR's size with random weights.
    """
    processes, where = Place(device, threads).processes()
    with TemporaryDirectory() as folder:
        corpus = _first_texts(Path(folder), recipe, codec)
        if recipe.codec == RANDOM:
            codec, corpus = _full_size(codec, corpus, where)
        network = build_network(recipe, codec, corpus).to(where)
        set_recompute((network, codec.decoder), recipe.train.gradient_checkpointing)
        batches = corpus.batches(recipe.train)
        means = means_of(recipe.train, batches.batch_size, processes, where)

        def seconds(loss: TextsLoss) -> float:
            part = part_loss(loss, corpus, batches, means.parts)
            return _tried({"network": network}, part, recipe.train, means, Path(folder))[0]

        step = seconds(texts_loss(network, recipe, codec, corpus, where))
        cheap = recipe.objective.vector_steps if isinstance(network, Predictor) else 0
        vector_step = 0.0
        if cheap and isinstance(network, Predictor):
            vector_step = seconds(vectors_loss(network, corpus, where))
        sizes = _sizes(recipe, corpus)
    whole = vector_step * cheap + step * recipe.train.steps
    return {
        "system": recipe.system,
        "parameters": sum(each.numel() for each in network.parameters()),
        **{name: round(value, 1) for name, value in sizes.items()},
        "flops_a_step": _flops(network, codec, sizes),
        "seconds_a_step": round(step, 4),
        "tokens_a_second": round(sizes["tokens_a_step"] / step, 1),
        "steps": recipe.train.steps,
        "hours": round(whole / 3600, 3),
        "peak_bytes": _peak(where),
    }


def dry_run_model(
    recipe: ModelRecipe, device: str = "auto", threads: int | None = None
) -> dict[str, Any]:
    """Try a few steps of the codec and then, with it, of the system."""
    codec, codec_figures = dry_run_codec(recipe.codec, device, threads)
    figures = dry_run(recipe.predictor, codec, device, threads)
    return {"codec": codec_figures, "predictor": figures}


def dry_run_codec(
    recipe: CodecRecipe, device: str = "auto", threads: int | None = None
) -> tuple[NativeCodec, dict[str, Any]]:
    """Try a few steps of a codec's recipe on its first texts; return what the whole would take.

    The codec of these few steps is returned first. The figures are those of `dry_run`; FLOPs are 6
    a parameter and token of encoder and decoder. The tokenizer is made of the first texts, so that
    it may have fewer pieces than the whole.
    """
    processes, where = Place(device, threads).processes()
    data = replace(recipe.data, stories=min(recipe.data.stories, _TEXTS))
    texts = [each for text in islice(documents(data, lambda line: None), _TEXTS) for each in text]
    how, objective = recipe.train, recipe.objective
    with TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = train_tokenizer(folder, texts, recipe.model.vocabulary)
        codec = build_codec(tokenizer, recipe.model)
        for half in (codec.encoder, codec.decoder):
            half.to(where)
        set_recompute((codec.encoder, codec.decoder), how.gradient_checkpointing)
        means = means_of(how, min(how.batch, len(texts)), processes, where)
        loss = codec_loss(
            codec, of_texts(texts, tokenizer), how.batch, how.seed, means.parts, objective.noise,
            objective.masked,
        )  # fmt: skip
        modules: dict[str, nn.Module] = {"encoder": codec.encoder, "decoder": codec.decoder}
        step, tokens = _tried(modules, loss, how, means, folder)
    parameters = sum(each.numel() for half in modules.values() for each in half.parameters())
    for module in modules.values():
        module.requires_grad_(False).eval()
    return codec, {
        "system": recipe.system,
        "parameters": parameters,
        "tokens_a_step": round(tokens, 1),
        "flops_a_step": 6 * parameters * tokens,
        "seconds_a_step": round(step, 4),
        "tokens_a_second": round(tokens / step, 1),
        "steps": how.steps,
        "hours": round(step * how.steps / 3600, 3),
        "peak_bytes": _peak(where),
    }


def _full_size(
    codec: NativeCodec, corpus: Corpus, device: torch.device
) -> tuple[NativeCodec, Corpus]:
    """Return a codec with a decoder of SONAR's size and random weights, and vectors of its width.

    The tokenizer stays: its ids are among SONAR's. Training needs no encoder, so that one without
    layers stands in for SONAR's.
    """
    width = SONAR_DECODER.width
    decoder = TextDecoder(SONAR_DECODER).to(device).requires_grad_(False).eval()
    encoder = TextEncoder(replace(SONAR_DECODER, vocab_size=1, layers=0))
    made = NativeCodec(encoder, decoder, codec.tokenizer)
    random = np.random.default_rng(0).standard_normal((len(corpus.vectors), width))
    # SONAR's vectors have a norm of about 0.2.
    vectors = (random * 0.2 / width**0.5).astype(np.float16)
    return made, replace(corpus, vectors=vectors)


def _first_texts(folder: Path, recipe: Recipe, codec: NativeCodec) -> Corpus:
    data = replace(recipe.data, stories=min(recipe.data.stories, _TEXTS))
    texts = islice(documents(data, lambda line: None), _TEXTS)
    lines = folder / "texts"
    lines.mkdir()
    for number, text in enumerate(texts):
        (lines / f"{number:04}.txt").write_text("\n\n".join(text), encoding="utf-8")
    few = replace(data, path=str(lines), world=False)
    return prepare(folder / "corpus", few, codec, None, "", False, lambda line: None)


def _tried(
    modules: dict[str, nn.Module], loss: PartLoss, how: Train, means: Means, folder: Path
) -> tuple[float, float]:
    """Take a few of the trainer's steps; return the median of their seconds, and tokens a step."""
    run = Run(modules, loss, Schedule.of(how), folder, {}, means)
    seconds: list[float] = []
    for step in range(_STEPS):
        if step > 1 and sum(seconds) > _PATIENCE:
            break
        began = perf_counter()
        run.step(step, None)
        if means.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - began)
    return median(seconds[1:]), run.tokens / run.done


def _sizes(recipe: Recipe, corpus: Corpus) -> dict[str, float]:
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
