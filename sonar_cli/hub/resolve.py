"""Find a model's files: in the package, at local paths, on the Hub, by sonar-space's cards."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sonar_cli.errors import CheckpointError, DownloadError, UsageError
from sonar_cli.hub.catalogue import (
    EMBEDDED,
    META_SONAR,
    PUBLISHED,
    SONAR,
    SONAR_DECODER,
    SONAR_ENCODER,
    SONAR_LICENCE,
    published,
)
from sonar_cli.hub.download import Hub, Watcher
from sonar_cli.model.disk import is_there, require_regular
from sonar_cli.model.names import CONFIG, META_WEIGHTS, TOKENIZER_FILES
from sonar_cli.options import MINI, ModelPaths, ModelRequest

# The Hub allows neither -- nor .. in a name.
_REPOSITORY = re.compile(r"(?![^:]*(?:--|\.\.))\w[\w.-]*/\w[\w.-]*")
# A part may also be one file of a repository: owner/name:file.
_PLACE = re.compile(rf"{_REPOSITORY.pattern}(?::\w[\w.-]*)?")
_DEFAULTS = {"encoder": SONAR_ENCODER, "decoder": SONAR_DECODER}

Parts = dict[str, str | None]


def resolve(
    request: ModelRequest | None = None,
    *,
    predictor: bool = True,
    watcher: Watcher | None = None,
) -> ModelPaths:
    """Find a model's files, and download missing ones unless the request is `offline`.

    A whole model is a directory with predictor/, encoder/, decoder/ and tokenizer/, or the folder
    of a training, which has it as model/. Other predictors get the codec parts that lie beside
    them, or else those of SONAR's published codec. A tokenizer is looked for beside the encoder,
    then beside the decoder, then in Meta's own repository. If `predictor` is False, only the codec
    is downloaded. With the codec "sonar-space", parts can also be names of its cards, and its own
    cards are the default. `watcher` is told of downloads. Raises UsageError for an unknown name,
    and DownloadError for files that cannot be downloaded.
    """
    (found,) = resolve_all([request or ModelRequest()], predictor=predictor, watcher=watcher)
    return found


def resolve_all(
    requests: Sequence[ModelRequest], *, predictor: bool = True, watcher: Watcher | None = None
) -> list[ModelPaths]:
    """Find the files of several models as `resolve` does; what they lack is downloaded together."""
    hub = Hub(any(request.offline for request in requests), watcher)
    found = [_resolve(request, hub, predictor) for request in requests]
    _say_licence(hub)
    hub.fetch()
    return found


def parts_here(model: str) -> dict[str, Path | None]:
    """Return where each part of a Hub's model lies, None for one that is not here, or not whole."""
    hub = Hub(offline=True)
    request = ModelRequest(model, offline=True)
    ways: dict[str, Callable[[], Path | None]] = {
        "predictor": lambda: _predictor(request, hub, True)[0],
        "encoder": lambda: _half("encoder", None, None, hub),
        "decoder": lambda: _half("decoder", None, None, hub),
        "tokenizer": lambda: _tokenizer(
            dict.fromkeys(("encoder", "decoder", "tokenizer")), None, hub
        ),
    }
    found: dict[str, Path | None] = {}
    for part, find in ways.items():
        try:
            found[part] = find()
        except (CheckpointError, DownloadError):
            found[part] = None
    return found


def repository_of(model: str) -> str:
    """Return the repository of a model's predictor. Raises UsageError for what is no model there.

    >>> repository_of("900m")
    'raxtemur/sonar-llm-900m'
    """
    known = PUBLISHED.get(model.casefold())
    repository = known.repository if known else model
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(_unknown(model))
    return repository


def _resolve(request: ModelRequest, hub: Hub, predictor: bool) -> ModelPaths:
    found, root = _predictor(request, hub, predictor)
    parts: Parts = {
        "encoder": request.encoder,
        "decoder": request.decoder,
        "tokenizer": request.tokenizer,
    }
    if request.codec == "sonar-space":
        parts = _from_cards(parts, root, request.offline)
    return ModelPaths(
        encoder=_half("encoder", parts["encoder"], root, hub),
        decoder=_half("decoder", parts["decoder"], root, hub),
        tokenizer=_tokenizer(parts, root, hub),
        predictor=found,
        predictor_config=Path(request.config) if request.config else None,
    )


def _say_licence(hub: Hub) -> None:
    """Tell the licence of SONAR's weights before they are downloaded for the first time."""
    weights = [
        each
        for each in hub.missing.values()
        if each.repository in SONAR and each.name not in TOKENIZER_FILES
    ]
    begun = any(each.partial.exists() for each in weights)
    if weights and not begun and not any(map(hub.has_model, SONAR)):
        hub.watcher.notify(SONAR_LICENCE)


def _predictor(request: ModelRequest, hub: Hub, wanted: bool) -> tuple[Path | None, Path | None]:
    """Return the predictor's path, and the folder that may hold its codec.

    Either is None if there is none; a predictor on the Hub is only downloaded if `wanted`.
    """
    model = request.model
    if model == MINI:
        return EMBEDDED / "predictor", EMBEDDED
    path = Path(model).expanduser()
    if path.is_dir():
        if any((path / "model" / part).is_dir() for part in ("predictor", "encoder")):
            path = path / "model"  # the folder of a training
        if (path / "encoder").is_dir() and not (path / "predictor").is_dir():
            return None, path  # a codec alone
        whole = (path / "predictor").is_dir()
        folder = path / "predictor" if whole else path
        if not (is_there(folder / CONFIG) or request.config):
            raise UsageError(f"{model} holds no {CONFIG}; it is no model (or give --config FILE)")
        return folder, path if whole else path.parent
    if path.is_file():
        if request.config is None:
            raise UsageError(f"{model} is a bare checkpoint; give its JSON with --config FILE")
        return path, path.parent
    if path.exists():
        require_regular(path)
    if _is_path(model):
        raise UsageError(f"{model}: no such folder or file")
    repository = repository_of(model)
    if not wanted:
        return None, None
    return hub.model(repository, own_config=request.config is not None), None


def _from_cards(given: Parts, root: Path | None, offline: bool) -> Parts:
    """Replace names of sonar-space's cards by their files, and fill parts not given by cards."""
    from sonar_cli.hub import cards

    own = {"encoder": cards.ENCODER, "decoder": cards.DECODER, "tokenizer": cards.ENCODER}
    if given["encoder"] and _is_card(given["encoder"]):
        own["tokenizer"] = given["encoder"]
    found: Parts = {}
    for part, name in given.items():
        if name is None and not _beside(root, part):
            name = own[part]
        if name is not None and _is_card(name):
            field = "tokenizer" if part == "tokenizer" else "checkpoint"
            name = str(cards.card_file(name, field, offline))
        found[part] = name
    return found


def _beside(root: Path | None, part: str) -> Path | None:
    """Return a part's folder in the model's folder, or None."""
    return root / part if root is not None and (root / part).is_dir() else None


def _is_card(name: str) -> bool:
    return not (Path(name).expanduser().exists() or _PLACE.fullmatch(name))


def _half(part: str, given: str | None, root: Path | None, hub: Hub) -> Path:
    if found := _here(part, given, root):
        named = (found / name for name in META_WEIGHTS[part])
        return next((file for file in named if file.is_file()), found)
    repository, _, file = (given or _DEFAULTS[part]).partition(":")
    return hub.half(repository, part, file)


def _tokenizer(parts: Parts, root: Path | None, hub: Hub) -> Path:
    """Return the tokenizer that is given, lies beside the model, or goes with its codec."""
    given = parts["tokenizer"]
    if found := _here("tokenizer", given, root):
        return found
    repository, _, file = (given or "").partition(":")
    places = [repository] if given else [*_codec_places(parts, root), META_SONAR]
    for place in places:
        if found := _named(place) if isinstance(place, Path) else hub.tokenizer(place, file):
            return found
    where = " or ".join(str(place) for place in dict.fromkeys(places))
    raise DownloadError(f"there is no tokenizer in {where}; give --tokenizer a *.model file")


def _codec_places(parts: Parts, root: Path | None) -> Iterator[Path | str]:
    """Yield where the encoder and the decoder lie: a path, or a repository."""
    for part, default in _DEFAULTS.items():
        given = parts[part]
        yield _here(part, given, root) or (given or default).partition(":")[0]


def _named(weights: Path) -> Path | None:
    """Return the tokenizer beside a codec's weights, by one of its names, or None."""
    folder = weights if weights.is_dir() else weights.parent
    return next((folder / name for name in TOKENIZER_FILES if (folder / name).is_file()), None)


def _here(part: str, given: str | None, root: Path | None) -> Path | None:
    """Return a part's place on this machine, or None for that of a repository.

    Raises UsageError for a name that is neither.
    """
    if given is None:
        return _beside(root, part)
    path = Path(given).expanduser()
    if path.exists():
        return path
    if _is_path(given) or not _PLACE.fullmatch(given):
        raise UsageError(f"--{part} {given}: no such file, directory or Hub repository")
    return None


def _is_path(name: str) -> bool:
    """Tell whether a name that is not there is one of a place here, and not of a repository.

    It begins like one, has more slashes than a repository's one or ends with it, or leads into a
    folder that is here.
    """
    first, slash, rest = name.partition("/")
    if not slash or published(name):
        return False
    like_one = name.startswith((".", "/", "~")) or not rest or "/" in rest
    return like_one or Path(first).is_dir()


def _unknown(model: str) -> str:
    names = [MINI, *PUBLISHED]
    near = difflib.get_close_matches(model.casefold(), names, 3, 0.4) or names
    return (
        f"unknown model {model!r}: no such file or directory, and no name; "
        f"near: {', '.join(near)}, or a Hub repository owner/name"
    )
