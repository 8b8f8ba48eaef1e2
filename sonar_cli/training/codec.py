"""Training a SONAR-style codec: a tokenizer, and encoder and decoder that reconstruct sentences."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import EOS, PAD, UNK, Tokenizer
from sonar_cli.model.names import LANGUAGE_FILES, TOKENIZER_FILES
from sonar_cli.model.shapes import DECODER_MAX_LEN, ENCODER_MAX_LEN, TransformerConfig
from sonar_cli.model.whole import replacing
from sonar_cli.options import ENGLISH
from sonar_cli.training.batches import GrowingBatches
from sonar_cli.training.loop import Shown, fit
from sonar_cli.training.loss import Loss
from sonar_cli.training.normalization import tsv
from sonar_cli.training.objectives import reconstruction_loss
from sonar_cli.training.schedule import Schedule
from sonar_cli.training.sentences import Sentences
from sonar_cli.training.state import Means, PartLoss
from sonar_cli.training.tables import CodecShape

_RULES = "normalization.tsv"


def train_tokenizer(folder: Path, texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a SentencePiece unigram model of at most so many pieces; load it if it is there.

    It writes text by `normalization.rules`. Bytes are pieces, so every text can be written. English
    is its only language. Raises UsageError for fewer pieces than the texts have characters.
    """
    file = folder / TOKENIZER_FILES[0]
    if not file.exists():
        model = _sentencepiece(texts, vocabulary)
        folder.mkdir(parents=True, exist_ok=True)
        languages = json.dumps({"additional_special_tokens": [ENGLISH]}, indent=2) + "\n"
        (folder / LANGUAGE_FILES[0]).write_text(languages, encoding="utf-8")
        with replacing(file) as whole:
            whole.write_bytes(model)
    return Tokenizer.load(folder)


def _sentencepiece(texts: Iterable[str], vocabulary: int) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    with _new_folder():
        Path(_RULES).write_text(tsv(), encoding="utf-8")
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                model_type="unigram",
                vocab_size=vocabulary,
                hard_vocab_limit=False,
                byte_fallback=True,
                character_coverage=1.0,
                normalization_rule_tsv=_RULES,
                input_sentence_size=200_000,
                shuffle_input_sentence=False,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            why = str(error).partition("] ")[2].partition(". Increase")[0]
            raise UsageError(f"no tokenizer of {vocabulary} pieces: {why or error}") from None
    return model.getvalue()


@contextmanager
def _new_folder() -> Iterator[None]:
    """Work in a folder of its own: SentencePiece writes the path of its rules into the model."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def build_codec(tokenizer: Tokenizer, shape: CodecShape, longest: int = 0) -> NativeCodec:
    """Build a codec with random weights.

    Its encoder reads at most `longest` tokens of a sentence, or with 0 as many as SONAR's.
    """

    def half(layers: int, ffn: int, max_len: int) -> TransformerConfig:
        return TransformerConfig(
            tokenizer.vocab_size, shape.width, layers, shape.heads, ffn, max_len
        )

    return NativeCodec(
        TextEncoder(half(shape.layers, shape.encoder_ffn, longest or ENCODER_MAX_LEN)),
        TextDecoder(half(shape.decoder_layers or shape.layers, shape.decoder_ffn, DECODER_MAX_LEN)),
        tokenizer,
    )


def fit_codec(
    codec: NativeCodec,
    sentences: Sentences,
    probe: Sequence[str],
    schedule: Schedule,
    folder: Path,
    *,
    batch: int,
    noise: float = 0.0,
    blurred: float = 0.0,
    masked: float = 0.0,
    frozen: bool = False,
    grow: float = 0.0,
    means: Means | None = None,
    shown: Shown | None = None,
    resume: bool = True,
) -> NativeCodec:
    """Train a codec, in place, to give sentences back from their vectors; return it frozen.

    `noise` on the vectors is in units of their RMS, and a share of them is `blurred`. With `masked`
    that share of the pieces that the encoder reads is unknown to it, and the decoder has to write
    them all the same. A `frozen` encoder does not learn. In the first part `grow` of the steps
    sentences grow longer. At each validation the share of `probe` that comes back exactly is
    logged.
    """
    encoder, decoder = codec.encoder, codec.decoder
    parts = means.parts if means else 1
    growing = int(grow * schedule.steps)
    loss = codec_loss(
        codec, sentences, batch, schedule.seed, parts, noise, masked, growing, blurred
    )

    def exact(step: int) -> Mapping[str, float]:
        return {"exact": share_exact(codec, probe, beam_size=1, max_tokens=40, batch_size=100)}

    recipe = {
        "codec_batch": batch,
        "noise": noise,
        "blurred": blurred,
        "masked": masked,
        "growing": growing,
        "sentences": sentences.digest,
        "encoder": asdict(encoder.config),
        "decoder": asdict(decoder.config),
    }
    modules: dict[str, nn.Module] = {"encoder": encoder, "decoder": decoder}
    for module in modules.values():
        module.requires_grad_(True).train()
    encoder.requires_grad_(not frozen)
    fit(
        modules, loss, schedule, folder, recipe=recipe, evaluate=exact if probe else None,
        means=means, shown=shown, resume=resume,
    )  # fmt: skip
    for module in modules.values():
        module.requires_grad_(False).eval()
    return codec


def share_exact(codec: NativeCodec, texts: Sequence[str], **how: Any) -> float:
    """Return the share of texts that come back as the tokenizer writes them.

    `how` goes to `decode`.
    """
    decoded = codec.decode(codec.encode(texts), **how)
    wanted = map(codec.tokenizer.written, texts)
    return sum(each.text == text for each, text in zip(decoded, wanted, strict=True)) / len(texts)


def codec_loss(
    codec: NativeCodec,
    sentences: Sentences,
    batch: int,
    seed: int,
    parts: int,
    noise: float = 0.0,
    masked: float = 0.0,
    growing: int = 0,
    blurred: float = 0.0,
) -> PartLoss:
    """Return the loss of a part of a step's batch: `batch` of the sentences in `parts` parts.

    In the first `growing` steps they are short at first.
    """
    batches = GrowingBatches(sentences.lengths, min(batch, len(sentences)), seed, growing)

    def loss(step: int, part: int) -> Loss:
        written = sentences.target(batches.at(step)[part::parts], codec.device)
        # The encoder reads what the decoder writes, without its leading eos.
        read = written[:, 1:]
        if masked:
            read = _masked(read, masked)
        return reconstruction_loss(
            codec.encoder, codec.decoder, read, written, noise=noise, blurred=blurred
        )

    return loss


def _masked(ids: Tensor, share: float) -> Tensor:
    """Make a share of the pieces of ids (N, S) unknown; language, end and pad stay."""
    places = torch.rand(ids.shape, device=ids.device) < share
    places[:, 0] = False
    return ids.masked_fill(places & (ids != EOS) & (ids != PAD), UNK)
