"""What commands share: reading what is given, finding and loading models, writing results."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from sonar_cli.errors import SonarError, UsageError
from sonar_cli.options import ModelPaths

if TYPE_CHECKING:
    from sonar_cli.model.codec.native import Codec
    from sonar_cli.model.load import Model
    from sonar_cli.model.systems.sonar_llm import Predictor

Settings = dict[str, Any]

# Sentences between two moves of a progress bar: eight batches.
_PIECE = 256

FAR_FROM_MINI = (
    "mini knows only small stories, and this text is far from them; "
    "-m 900m gets a real model (once, several GB)"
)


def say(line: str) -> None:
    """Say a line on stderr, whatever --quiet says."""
    print("sonar-llm: " + " ".join(line.split()), file=sys.stderr, flush=True)


def names(files: tuple[str, ...]) -> list[str]:
    """Return the files to read: standard input where none is named."""
    names = list(files or ("-",))
    if "-" in names and sys.stdin.isatty():
        raise UsageError("give a FILE, or pipe a text in")
    return names


def read_texts(names: list[str], format: str) -> tuple[dict[str, str], bool]:
    """Read what can be read; each file that cannot is said in a line of its own."""
    from sonar_cli.text import inputs

    texts: dict[str, str] = {}
    failed = False
    for name in names:
        try:
            texts |= inputs.read_texts(name, format)
        except SonarError as error:
            say(str(error))
            failed = True
    return texts, failed


def check_generation(settings: Settings) -> None:
    """Refuse settings that contradict one another."""
    if settings["candidates"] > 1 and settings["temperature"] == 0:
        raise UsageError("--candidates needs noise to differ; add --temperature 0.3")


def resolve(settings: Settings, predictor: bool = True) -> ModelPaths:
    """Find the files of the model that was asked for; without `predictor` those of its codec."""
    from sonar_cli.hub import store

    return store.resolve(
        settings["model"],
        config=settings["config"],
        encoder=settings["encoder"],
        decoder=settings["decoder"],
        tokenizer=settings["tokenizer"],
        offline=settings["offline"],
        progress=not settings["quiet"] and sys.stderr.isatty(),
        predictor=predictor,
        codec=settings.get("codec", "native"),
    )


def load_model(paths: ModelPaths, settings: Settings) -> Model:
    """Load codec and predictor as the settings have it."""
    from sonar_cli.model.load import Model

    codec = codec_from(paths, settings)
    return Model(codec, load_predictor(paths, settings, codec))


def load_predictor(paths: ModelPaths, settings: Settings, codec: Codec) -> Predictor:
    """Load the predictor that goes with a codec."""
    from sonar_cli.model import load

    predictor = load.load_predictor(
        paths.predictor,
        paths.predictor_config,
        settings["device"],
        settings["dtype"],
        None if settings["quiet"] else say,
    )
    load.check_width(codec, predictor, paths.predictor)
    return predictor


def load_codec(settings: Settings) -> Codec:
    """Find and load the codec alone."""
    return codec_from(resolve(settings, predictor=False), settings)


def codec_from(paths: ModelPaths, settings: Settings) -> Codec:
    """Load a codec, after its device and before its languages were checked."""
    from sonar_cli.model.load import load_codec, pick_device

    pick_device(settings["device"])
    # The embedded model's matrices are too small to be shared: threads would mostly wait for one
    # another, and much longer where another process has their core.
    set_threads(settings["threads"] or (1 if paths.embedded else None))
    files = (paths.encoder, paths.decoder, paths.tokenizer)
    how = (settings["device"], settings["dtype"])
    if settings["codec"] == "sonar-space":
        from sonar_cli.model.codec.sonar_space import load_sonar_space

        codec: Any = load_sonar_space(*files, *how)
    else:
        codec = load_codec(*files, *how, None if settings["quiet"] else say)
    single = [settings[name] for name in ("source_lang", "target_lang") if name in settings]
    for lang in (*single, *settings.get("target_langs", ())):
        codec.tokenizer.lang_id(lang)
    if settings.get("verbose"):
        say(f"codec {paths.encoder}: vectors of {codec.width} numbers on {codec.device}")
    return codec


def set_threads(count: int | None) -> None:
    """Set torch's threads, or leave them as they are."""
    if count:
        import torch

        torch.set_num_threads(count)


def far_from_mini(texts: Any) -> bool:
    """More than a third of the words are none of the story world's."""
    from sonar_cli.world.stories import far

    return any(far(text) for text in texts)


def pieces(items: Any, label: str, quiet: bool) -> Iterator[Any]:
    """Cut long work into pieces of some batches each, with a progress bar over them."""
    from sonar_cli import render

    starts = range(0, len(items), _PIECE)
    for start in render.progress(starts, len(starts), label, quiet):
        yield items[start : start + _PIECE]


def report_cut(count: int, settings: Settings) -> None:
    """Say how many sentences the encoder had to cut, if any."""
    if count and not settings["quiet"]:
        say(f"{count} sentences were longer than the encoder reads and were cut")


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Open a file to write text to, or take stdout."""
    if path is None:
        yield sys.stdout
    else:
        with open(path, "w", encoding="utf-8") as out:
            yield out


def write_whole(data: bytes, path: str | None) -> None:
    """Write a result in one go: to stdout, or into place once it is complete."""
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    partial = f"{path}.partial"
    with open(partial, "wb") as out:
        out.write(data)
    os.replace(partial, path)


def npy(array: Any) -> bytes:
    """Return an array in NumPy's .npy format."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
