"""Convert a model of any layout into a folder with its four parts, which `-m` takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from sonar_cli.errors import UsageError
from sonar_cli.hub.catalogue import published
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import model_file
from sonar_cli.model.formats.codec import read_decoder, read_encoder, save_decoder, save_encoder
from sonar_cli.model.formats.layouts import PREDICTOR_LAYOUT, State
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.formats.strict import write
from sonar_cli.model.formats.system import kind_of, read_system
from sonar_cli.model.load import build, pick_device, pick_dtype
from sonar_cli.model.names import CONFIG, LANGUAGE_FILES
from sonar_cli.model.quantized import STORED
from sonar_cli.model.shapes import RUN_DTYPE, SONAR_LLM, read_json
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.model.whole import moved_whole
from sonar_cli.options import ModelPaths

StoredDtype = Literal["float32", "bfloat16", "int8"]


def check_free(folder: Path) -> None:
    """Raise UsageError for a folder that has something in it, and for a file."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; give a new folder with -o")


def convert(
    paths: ModelPaths, folder: Path, dtype: StoredDtype = "float32", model: str = ""
) -> None:
    """Write a model to a folder: predictor/, encoder/, decoder/ and tokenizer/, in `dtype`.

    What is known of a published `model` alone, such as how its texts were split, is written into
    its config.json. The folder runs in `dtype` where no other is asked for. Nothing half-made is
    left. Raises UsageError for a folder that is not empty, CheckpointError for files that cannot
    be read.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    device, whole = pick_device("cpu"), pick_dtype("float32")
    with moved_whole(folder) as made:
        if paths.predictor is not None:
            _predictor(paths.predictor, paths.predictor_config, made / "predictor", dtype, model)
        encoder = build(TextEncoder, *read_encoder(paths.encoder), device, whole)
        save_encoder(encoder, made / "encoder", STORED[dtype])
        decoder = build(TextDecoder, *read_decoder(paths.decoder), device, whole)
        save_decoder(decoder, made / "decoder", STORED[dtype])
        if dtype != "float32":
            for part in ("encoder", "decoder"):
                _add(made / part / CONFIG, {RUN_DTYPE: dtype})
        _tokenizer(paths.tokenizer, made / "tokenizer")


def _predictor(
    path: Path, config: Path | None, folder: Path, dtype: StoredDtype, model: str
) -> None:
    raw = read_json(config or path / CONFIG)
    state: State
    if config is None and kind_of(path) != SONAR_LLM:
        _, _, state = read_system(path)
    else:
        _, ours = read_predictor(path, config)
        state = {PREDICTOR_LAYOUT.theirs(name): tensor for name, tensor in ours.items()}
    if dtype != "float32":
        raw[RUN_DTYPE] = dtype
    write(folder, {**raw, **_of_published(model)}, state, STORED[dtype])


def _of_published(model: str) -> dict[str, Any]:
    """Return what the catalogue knows of a published model, as its config.json says it."""
    if (known := published(model)) is None:
        return {}
    found: dict[str, Any] = {"split": known.split}
    if known.summaries:
        found["summary_cue"] = SUMMARY_CUE
    if known.repeat_threshold is not None:
        found["repeat_threshold"] = known.repeat_threshold
    return found


def _tokenizer(path: Path, folder: Path) -> None:
    folder.mkdir()
    file = model_file(path)
    shutil.copyfile(file, folder / file.name)
    for name in LANGUAGE_FILES:
        if (file.parent / name).is_file():
            shutil.copyfile(file.parent / name, folder / name)


def _add(config: Path, more: dict[str, Any]) -> None:
    found = {**read_json(config), **more}
    config.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
