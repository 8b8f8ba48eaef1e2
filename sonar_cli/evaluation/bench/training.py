"""How fast a SONAR-LLM is trained: steps of `mini`'s objective on its own stories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.evaluation.bench.run import machine
from sonar_cli.evaluation.report import Column, Report, Table
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import PAD
from sonar_cli.model.fast.bfloat16 import multiplies_bfloat16
from sonar_cli.model.load import load_codec, pick_device
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import Runtime
from sonar_cli.training import recipe as recipes
from sonar_cli.training.corpus import BEGIN, END, Corpus, prepare
from sonar_cli.training.loss import Loss
from sonar_cli.training.systems import started_from, texts_loss

Losses = Callable[[list[int]], Loss]
# Stories that the steps are taken from.
_STORIES = 600
PLAIN = "plain"


def measure(rounds: int, device: str, tell: Callable[[str], None]) -> Report:
    """Time whole training steps of 24 stories, each engine on the same batches in turn.

    "plain" computes all sentences as one padded batch, with all logits, in float32; the others are
    the trainer's, in float32 and, where the device multiplies it, in bfloat16.
    """
    where = pick_device(device)
    recipe = recipes.read("sonar-llm", [f"data.stories={_STORIES}"])
    assert isinstance(recipe, recipes.Recipe)
    paths = resolve()
    codec = load_codec(paths, Runtime(where.type), trains=True)
    assert isinstance(codec, NativeCodec) and paths.predictor is not None
    tell("encoding stories")
    with TemporaryDirectory() as folder:
        corpus = prepare(Path(folder), recipe.data, codec, paths, "", False, lambda line: None)
        network = started_from(paths.predictor, paths.predictor_config, recipe.system).to(where)
        assert isinstance(network, Predictor)
        ours = texts_loss(network, recipe, codec, corpus, where)
        float32 = torch.float32
        engines: dict[str, tuple[Losses, torch.dtype]] = {
            PLAIN: (partial(_plain, network, codec, corpus, where), float32),
            "float32": (ours, float32),
        }
        if multiplies_bfloat16(where):
            engines["bfloat16"] = (ours, torch.bfloat16)
        return _report(engines, network, corpus, recipe, where, rounds, tell)


def _report(
    engines: dict[str, tuple[Losses, torch.dtype]],
    network: nn.Module,
    corpus: Corpus,
    recipe: recipes.Recipe,
    device: torch.device,
    rounds: int,
    tell: Callable[[str], None],
) -> Report:
    batches = corpus.batches(recipe.train)
    # The weights stay what they are, so that every engine has the same losses.
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=0.0, fused=True)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    losses: dict[str, list[float]] = {name: [] for name in engines}
    tokens = 0
    for number in range(rounds + 1):
        tell(f"round {number} of {rounds}")
        texts = corpus.train[batches.at(number)].tolist()
        for name, (loss, dtype) in engines.items():
            began = perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                found = loss(texts)
            (found.total / found.weight).backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.train.clip)
            optimizer.step()
            losses[name].append(found.mean)
            seconds[name].append(perf_counter() - began)
        tokens += found.tokens if number else 0
    records = [
        _record(name, each[1:], tokens / rounds, losses[name], seconds[PLAIN][1:])
        for name, each in seconds.items()
    ]
    line = f"{machine(device)}; a step: {recipe.train.batch} stories of the world."
    return Report([Table("training", _COLUMNS, records)], line=line)


def _record(
    name: str, seconds: list[float], tokens: float, losses: list[float], plain: list[float]
) -> dict[str, Any]:
    return {
        "engine": name,
        "seconds": median(seconds),
        "rounds": seconds,
        "tokens_a_second": tokens / median(seconds),
        "faster": sum(plain) / sum(seconds),
        "loss": sum(losses) / len(losses),
    }


_COLUMNS = (
    Column("engine", "engine", left=True),
    Column("seconds", "seconds a step", "{:.3f}".format),
    Column("tokens_a_second", "tokens a second", "{:,.0f}".format),
    Column("faster", "times plain", "{:.2f}".format),
    Column("loss", "loss", "{:.4f}".format),
)


def _plain(
    network: Predictor, codec: NativeCodec, corpus: Corpus, device: torch.device, texts: list[int]
) -> Loss:
    """The objective as one would first write it down."""
    sequences = [corpus.sequence(text, (BEGIN,), END) for text in texts]
    vectors, mask = (each.to(device) for each in corpus.batch(sequences))
    target = corpus.tokens.padded([n for numbers in sequences for n in numbers[1:]], device)
    predicted = network(vectors[:, :-1])[mask[:, 1:]]
    logits: Tensor = codec.decoder(predicted, target[:, :-1])
    labels = target[:, 1:].flatten()
    total = F.cross_entropy(logits.flatten(0, 1), labels, ignore_index=PAD, reduction="sum")
    count = int((labels != PAD).sum())
    return Loss(total, count, count)
