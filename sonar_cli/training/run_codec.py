"""A codec's recipe -> a trained folder: texts, tokenizer, encoder and decoder."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.formats.codec import (
    read_decoder,
    read_encoder,
    save_decoder,
    save_encoder,
)
from sonar_cli.model.recompute import set_recompute
from sonar_cli.model.whole import moved_whole
from sonar_cli.options import ModelPaths
from sonar_cli.training.breadth import varied
from sonar_cli.training.codec import build_codec, fit_codec, share_exact, train_tokenizer
from sonar_cli.training.corpus import made_of, prepare_texts
from sonar_cli.training.export import copy_notes
from sonar_cli.training.loop import Shown
from sonar_cli.training.place import Place, means_of
from sonar_cli.training.recipe import CodecRecipe
from sonar_cli.training.record import (
    ADVICE,
    Record,
    digest,
    read_record,
    require_same,
    write_whole,
)
from sonar_cli.training.schedule import Schedule
from sonar_cli.training.sentences import (
    Sentences,
    held_out,
    of_corpus,
    repeats,
    sample,
    weighted,
)

# Held-out sentences that are given back at each validation.
_PROBE = 300
_STAGES = ("tokenizer", "corpus", "codec", "model", "recipe.json")


def train_codec(
    recipe: CodecRecipe,
    start: ModelPaths | None,
    out: Path,
    *,
    place: Place | None = None,
    resume: bool = True,
) -> Path:
    """Train a codec; return the folder with encoder/, decoder/ and tokenizer/.

    `start` is a codec to go on with, its tokenizer and shape too. `out` gets the tokenizer, the
    corpus, the checkpoint and log in codec/, recipe.toml, metrics.json and, in one move at the end,
    model/. Raises UsageError for data without sentences, and for another recipe in `out`.
    """
    if (out / "corpus").exists() and not (out / "recipe.json").exists():
        raise UsageError(f"{out} holds the training of a system; give another folder")
    place = place or Place()
    processes, device = place.processes()
    place = place.of(processes)
    with processes.in_turn():
        if not resume and not processes.rank:
            _discard(out)
        known = sample(recipe.data, recipe.train.seed)
        _keep_record(out, recipe)
        if not processes.rank:
            write_whole(out / "recipe.toml", recipe.toml())
        torch.manual_seed(recipe.train.seed)
        if start is None:
            texts, pieces = weighted(known), recipe.model.vocabulary
            tokenizer = train_tokenizer(out / "tokenizer", texts, pieces)
            codec = build_codec(tokenizer, recipe.model, recipe.objective.longest)
        else:
            codec = _started(start, out / "tokenizer", recipe.objective.longest)
        sentences, probe = _sentences(recipe, codec.tokenizer, known, out, place)
    how, objective = recipe.train, recipe.objective
    for half in (codec.encoder, codec.decoder):
        half.to(device)
    set_recompute((codec.encoder, codec.decoder), how.gradient_checkpointing)
    fit_codec(
        codec, sentences, probe, Schedule.of(how), out / "codec",
        batch=how.batch, noise=objective.noise, blurred=objective.blurred,
        masked=objective.masked, frozen=objective.frozen, grow=objective.grow,
        means=means_of(how, min(how.batch, len(sentences)), processes, device),
        shown=Shown("codec", place.progress, place.log_to), resume=resume,
    )  # fmt: skip
    encoder, decoder = processes.whole(codec.encoder), processes.whole(codec.decoder)
    if not processes.rank:
        codec = NativeCodec(encoder, decoder, codec.tokenizer)
        write_whole(out / "metrics.json", json.dumps(_figures(codec, probe), indent=2) + "\n")
        _export(codec, getattr(torch, recipe.dtype), out)
    with processes.in_turn():  # nobody leaves before the first has written
        return out / "model"


def _sentences(
    recipe: CodecRecipe, tokenizer: Tokenizer, known: list[str], out: Path, place: Place
) -> tuple[Sentences, list[str]]:
    """Return the sentences to train on, and held-out ones that are not among them."""
    files, folder = out / "tokenizer", out / "corpus"
    identity = digest(np.fromfile(each, np.uint8) for each in sorted(files.iterdir()))
    corpus = prepare_texts(
        folder, recipe.data, tokenizer, files, identity, place.progress, place.notify
    )
    objective = recipe.objective
    extra = varied(known, int(objective.made * repeats(corpus).sum()), recipe.train.seed)
    return (
        of_corpus(corpus, extra, tokenizer, objective.longest),
        held_out(corpus, folder, _PROBE),
    )


def _keep_record(out: Path, recipe: CodecRecipe) -> None:
    """Write what the tokenizer is made of into an unused folder, or check it."""
    made: Record = {
        "recipe": {"from": recipe.start, "model": asdict(recipe.model)},
        "data": made_of(recipe.data, ""),
    }
    file = out / "recipe.json"
    if file.exists():
        require_same(out, read_record(file, f"give {ADVICE}"), made)
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(made, indent=2) + "\n")


def _started(paths: ModelPaths, folder: Path, longest: int) -> NativeCodec:
    """Return a codec's weights, with gradients, and copy its tokenizer to `folder`.

    Its encoder reads at most `longest` tokens of a sentence, or with 0 as many as before.
    """
    if not folder.exists():
        _copy(paths.tokenizer, folder)
    shape, state = read_encoder(paths.encoder)
    encoder = TextEncoder(replace(shape, max_len=longest or shape.max_len))
    encoder.load_state_dict({name: each.float() for name, each in state.items()})
    shape, state = read_decoder(paths.decoder)
    decoder = TextDecoder(shape)
    decoder.load_state_dict({name: each.float() for name, each in state.items()})
    return NativeCodec(encoder, decoder, Tokenizer.load(folder))


def _copy(tokenizer: Path, folder: Path) -> None:
    if tokenizer.is_dir():
        shutil.copytree(tokenizer, folder)
    else:
        folder.mkdir(parents=True)
        shutil.copy(tokenizer, folder)


def _figures(codec: NativeCodec, probe: list[str]) -> dict[str, float]:
    halves = (codec.encoder, codec.decoder)
    parameters = sum(each.numel() for half in halves for each in half.parameters())
    figures: dict[str, float] = {"parameters": parameters, "probed": len(probe)}
    if probe:
        figures["exact"] = round(share_exact(codec, probe, max_tokens=80), 4)
    return figures


def _discard(out: Path) -> None:
    for name in _STAGES:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _export(codec: NativeCodec, dtype: torch.dtype, out: Path) -> None:
    with moved_whole(out / "model") as model:
        save_encoder(codec.encoder, model / "encoder", dtype)
        save_decoder(codec.decoder, model / "decoder", dtype)
        shutil.copytree(out / "tokenizer", model / "tokenizer")
        copy_notes(out, model)
