"""The recipe of `mini`: story world -> tokenizer -> codec -> predictor -> published layouts.

The codec learns to reconstruct a sentence from its vector. The predictor is trained in two stages:
first on the squared error of the next sentence's vector, which needs no decoder, then on the
paper's objective, the cross-entropy of the next sentence through the frozen decoder.

A run that was killed goes on: a stage whose output exists is skipped, and training resumes from its
checkpoint. `recipe.json` states what the outputs were made with; with other sizes, another seed or
other text the run is refused.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.formats.codec import save_decoder, save_encoder
from sonar_cli.model.formats.predictor import save_predictor
from sonar_cli.model.load import pick_device
from sonar_cli.model.shapes import (
    PredictorConfig,
    RopeScaling,
    read_json,
)
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ENGLISH
from sonar_cli.training.batches import Batches, Ints, Rows
from sonar_cli.training.codec import (
    build_codec,
    count_sentences,
    fit_codec,
    random_texts,
    train_tokenizer,
    training_texts,
)
from sonar_cli.training.loop import Schedule, bar, fit
from sonar_cli.training.objectives import (
    next_sentence_loss,
    next_vector_loss,
)
from sonar_cli.training.recipe import CodecShape
from sonar_cli.training.record import Record, digest, require_same, write_whole
from sonar_cli.world import stories as world
from sonar_cli.world.patterns import BEATS

LANG = ENGLISH
WIDTH = 256
# Sentences encoded between two updates of the progress bar.
_CHUNK = 5_000
# The folders that the stages write.
_STAGES = ("tokenizer", "codec", "predictor", "model")
Trained = TypeVar("Trained", bound=nn.Module)


@dataclass(frozen=True)
class Sizes:
    """Amounts of text, batch sizes, numbers of steps and learning rates of the stages.

    A batch of the codec counts sentences, one of the predictor stories. `vocabulary` is the most
    pieces the tokenizer may have, `noise` the standard deviation of the noise on the codec's
    vectors in units of their RMS, `probe` the number of held-out sentences that measure the codec.
    """

    codec_stories: int = 40_000
    predictor_stories: int = 32_000
    vocabulary: int = 2_300
    codec_steps: int = 6_000
    codec_batch: int = 64
    codec_rate: float = 2e-3
    noise: float = 0.2
    predictor_batch: int = 24
    vector_steps: int = 8_000
    vector_rate: float = 1.5e-3
    sentence_steps: int = 2_000
    sentence_rate: float = 1e-3
    probe: int = 200


def train(
    out: Path,
    *,
    device: str = "auto",
    seed: int = 0,
    threads: int | None = None,
    progress: bool = True,
    resume: bool = True,
    sizes: Sizes | None = None,
) -> Path:
    """Train `mini` from nothing into `out`; return the folder that holds the finished model.

    `out/model` gets encoder/, decoder/, predictor/ and tokenizer/ in one move at the end; logs,
    checkpoints and `recipe.json` stay beside it. Without `resume` all of them are made anew.
    Raises UsageError, before anything is written, when `out` was made with another recipe.
    """
    sizes = sizes or Sizes()
    if threads:
        torch.set_num_threads(threads)
    where = pick_device(device)
    if not resume:
        _discard(out)
    texts = _sentences(sizes, seed)
    _keep_record(out, _record(sizes, seed, texts))
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(out / "tokenizer", texts, sizes.vocabulary)
    codec = _codec(out / "codec", tokenizer, texts, sizes, seed, where, progress)
    predictor = _predictor(out / "predictor", codec, sizes, seed, where, progress)
    return _export(out, codec, predictor)


def _record(sizes: Sizes, seed: int, texts: Iterable[str]) -> Record:
    """Return what the model is made with; `probe` is left out, as it only measures."""
    trained = {name: value for name, value in asdict(sizes).items() if name != "probe"}
    return {"sizes": trained, "data": {"seed": seed, "texts": digest(texts)}}


def _keep_record(out: Path, record: Record) -> None:
    """Write `recipe.json` into an unused folder, or check it; UsageError when it differs."""
    file = out / "recipe.json"
    if file.exists():
        require_same(out, read_json(file), record)
    elif any((out / stage).exists() for stage in _STAGES):
        require_same(out, None, record)
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(record, indent=2) + "\n")


def _discard(out: Path) -> None:
    """Remove the record and the output of every stage."""
    # The record goes first: when this is cut short, what is left is refused and not reused.
    (out / "recipe.json").unlink(missing_ok=True)
    for stage in _STAGES:
        if (out / stage).exists():
            shutil.rmtree(out / stage)


def _sentences(sizes: Sizes, seed: int) -> list[str]:
    """Return the codec's training text: the sentences and summaries of the stories, and others.

    To these are added 5 % of text from outside the world.
    """
    told = world.stories(sizes.codec_stories, seed)
    counts = count_sentences(each.sentences + each.summary for each in told)
    sentences = training_texts(counts, (BEGIN_SENTENCE, END_SENTENCE, SUMMARY_CUE))
    count = sum(map(math.isqrt, counts.values())) // 20
    return sentences + list(random_texts(world.vocabulary(), count, seed))


def _codec(
    folder: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    sizes: Sizes,
    seed: int,
    device: torch.device,
    progress: bool,
) -> NativeCodec:
    """Train encoder and decoder to reconstruct the texts; return them frozen."""
    codec = build_codec(tokenizer, CodecShape(width=WIDTH, vocabulary=sizes.vocabulary))
    codec.encoder.to(device)
    codec.decoder.to(device)
    schedule = Schedule(sizes.codec_steps, sizes.codec_rate, warmup=300, seed=seed)
    return fit_codec(
        codec, texts, _probe(sizes.probe, seed), schedule, folder,
        batch=sizes.codec_batch, noise=sizes.noise, progress=progress,
    )  # fmt: skip


def _digest(*data: Rows) -> str:
    return digest(array for rows in data for array in (rows.flat, rows.starts))


def _probe(count: int, seed: int) -> list[str]:
    """Return one sentence of each of `count` held-out stories."""
    told = world.stories(count, seed, held_out=True)
    return [each.sentences[number % len(each.sentences)] for number, each in enumerate(told)]


def _predictor(
    folder: Path, codec: NativeCodec, sizes: Sizes, seed: int, device: torch.device, progress: bool
) -> Predictor:
    """Train the predictor on vectors, then through the frozen decoder; return it frozen."""
    predictor = Predictor(_predictor_config()).to(device)
    stories = _Stories.of(world.stories(sizes.predictor_stories, seed))
    vectors = _vectors(folder / "vectors.pt", codec, stories.texts, progress)
    target = Rows.of(codec.tokenizer.target(text, LANG) for text in stories.texts)
    batches = Batches(stories.given.lengths, sizes.predictor_batch, seed)

    def batch(step: int) -> tuple[Tensor, Tensor, Ints]:
        return stories.batch(batches.at(step), vectors, device)

    def vector_loss(step: int) -> Tensor:
        given, mask, following = batch(step)
        wanted = vectors[following].float().to(device)
        return next_vector_loss(predictor, given, mask, wanted)

    def sentence_loss(step: int) -> Tensor:
        given, mask, following = batch(step)
        wanted = target.padded(following, device)
        return next_sentence_loss(predictor, codec.decoder, given, mask, wanted)

    recipe: dict[str, Any] = {
        "predictor_batch": sizes.predictor_batch,
        "stories": _digest(stories.given, stories.following),
        "sentences": _digest(target),
        "vectors": digest([vectors.numpy()]),
        "predictor": asdict(predictor.config),
    }
    for name, loss, steps, rate in (
        ("vectors", vector_loss, sizes.vector_steps, sizes.vector_rate),
        ("sentences", sentence_loss, sizes.sentence_steps, sizes.sentence_rate),
    ):
        schedule = Schedule(steps, rate, warmup=200, seed=seed)
        fit(
            {"predictor": predictor}, loss, schedule, folder / name,
            name=name, recipe=recipe, progress=progress,
        )  # fmt: skip
    return _freeze(predictor)


@dataclass(frozen=True)
class _Stories:
    """The predictor's training data: sentences are numbers, the indices into `texts`.

    Row i of `given` is story i as the predictor reads it; row i of `following`, of the same length,
    holds for each of these sentences the one to predict.
    """

    texts: list[str]
    given: Rows
    following: Rows

    @classmethod
    def of(cls, stories: Iterable[world.Story]) -> _Stories:
        """Number the sentences of the stories; every second story includes its summary."""
        numbers: dict[str, int] = {}

        def rows(documents: Iterable[list[str]]) -> Rows:
            return Rows.of(
                [numbers.setdefault(text, len(numbers)) for text in document]
                for document in documents
            )

        pairs = [_document(story, number % 2 == 1) for number, story in enumerate(stories)]
        given, following = (rows(each) for each in zip(*pairs, strict=True))
        return cls(list(numbers), given, following)

    def batch(
        self, stories: Ints, vectors: Tensor, device: torch.device
    ) -> tuple[Tensor, Tensor, Ints]:
        """Return the vectors given, their mask, and the numbers of the sentences to predict.

        `stories` are B row numbers and `vectors` (texts, D) the vectors of `texts`. The result is
        given (B, T, D) float32, filled up with 0; mask (B, T) bool, True where a sentence is; and
        following (mask.sum(),) int, in the mask's row-major order.
        """
        given = [self.given.row(story) for story in stories]
        batch = torch.zeros(len(given), max(map(len, given)), vectors.shape[1])
        mask = torch.zeros(batch.shape[:2], dtype=torch.bool)
        for row, numbers in enumerate(given):
            batch[row, : len(numbers)] = vectors[numbers].float()
            mask[row, : len(numbers)] = True
        following = np.concatenate([self.following.row(story) for story in stories])
        return batch.to(device), mask.to(device), following


def _document(story: world.Story, with_summary: bool) -> tuple[list[str], list[str]]:
    """Return the sentences the predictor reads and, for each of them, the sentence to predict.

    After a story's last sentence the end mark is to be predicted, even where the summary cue and
    the summary are appended: the cue is only ever given, so one predictor learns both to end a
    story and to summarize it when asked.
    """
    given = [BEGIN_SENTENCE, *story.sentences]
    following = [*story.sentences, END_SENTENCE]
    if with_summary:
        given += [SUMMARY_CUE, *story.summary]
        following += [*story.summary, END_SENTENCE]
    return given, following


def _vectors(file: Path, codec: NativeCodec, sentences: list[str], progress: bool) -> Tensor:
    """Return the sentences' vectors (N, D) float16, mapped from `file`, which is made if missing.

    float16 halves the file, and the vectors are inputs and targets only.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        starts = bar(range(0, len(sentences), _CHUNK), "encoding", progress)
        chunks = (sentences[start : start + _CHUNK] for start in starts)
        encoded = [codec.encode(chunk, batch_size=256).half().cpu() for chunk in chunks]
        partial = file.with_suffix(".partial")
        torch.save(torch.cat(encoded), partial)
        os.replace(partial, file)
    stored: Tensor = torch.load(file, weights_only=True, mmap=True)
    return stored


def _predictor_config() -> PredictorConfig:
    return PredictorConfig(
        embed_dim=WIDTH,
        hidden=256,
        ffn=640,
        layers=4,
        heads=8,
        kv_heads=8,
        head_dim=32,
        rope_scaling=RopeScaling(),
        add_begin=True,
        summary_cue=SUMMARY_CUE,
        trained_len=len(BEATS),
    )


def _freeze(model: Trained) -> Trained:
    model.requires_grad_(False)
    model.eval()
    return model


def _export(out: Path, codec: NativeCodec, predictor: Predictor) -> Path:
    partial, final = out / "model.partial", out / "model"
    shutil.rmtree(partial, ignore_errors=True)
    save_encoder(codec.encoder, partial / "encoder", torch.float16)
    save_decoder(codec.decoder, partial / "decoder", torch.float16)
    save_predictor(predictor, partial / "predictor", torch.float16)
    shutil.copytree(out / "tokenizer", partial / "tokenizer")
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    return final
