"""Names -> checkpoints: the embedded model, local paths, and Hub repositories with their cache.

Downloads go through huggingface_hub into its own cache, and only the files that are read: never
a repository's code. A cached file is used as it is, without asking the network.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sonar_cli.errors import DownloadError, UsageError
from sonar_cli.options import SUMMARY_CUE, ModelPaths

MINI = "mini"
EMBEDDED = Path(__file__).parents[1] / "mini" / "weights"

# Published predictors: name -> (repository, working parameters as text).
PUBLISHED = {
    "100m": ("raxtemur/sonar-llm-100m", "35 M"),
    "300m": ("raxtemur/sonar-llm-300m", "170 M"),
    "600m": ("raxtemur/sonar-llm-600m", "454 M"),
    "900m": ("raxtemur/sonar-llm-900m", "698 M"),
    "1.3b": ("raxtemur/sonar-llm-1.3b", "1.3 B"),
}
# Those that were trained to write summaries as well: the cue they answer to, and how many sentences
# they are shown at once. Its authors have published neither, so these are ours.
SUMMARIZERS = {"1.3b": (SUMMARY_CUE, 64)}
SONAR_ENCODER = "cointegrated/SONAR_200_text_encoder"
SONAR_DECODER = "raxtemur/SONAR_200_text_decoder"
# What repositories call their SentencePiece file; SONAR's own name is the first.
TOKENIZER_FILES = (
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "tokenizer.model",
)
# Either may list the tokenizer's languages; neither has to be there.
_LANGUAGE_FILES = ("tokenizer_config.json", "special_tokens_map.json")

_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")

Parts = dict[str, str | None]


@dataclass(frozen=True)
class KnownModel:
    """A model with a name of its own, as `models list` shows it."""

    name: str
    source: str
    parameters: str
    present: bool
    summaries: bool = False


@dataclass(frozen=True)
class Summarizer:
    """What a predictor that was trained to write summaries goes by.

    `cue` is the sentence after which it writes one, `context` the most sentences it is to be shown
    in front of that; None where nobody says.
    """

    cue: str
    context: int | None


def resolve(
    model: str = MINI,
    *,
    config: str | None = None,
    encoder: str | None = None,
    decoder: str | None = None,
    tokenizer: str | None = None,
    offline: bool = False,
    progress: bool = False,
    predictor: bool = True,
    codec: str = "native",
) -> ModelPaths:
    """Find a model's files, downloading what is not here unless `offline`.

    `model` is a name, a Hub repository `owner/name`, a directory or a file; the other parts are
    paths or repositories that replace the model's own. A directory that holds predictor/,
    encoder/, decoder/ and tokenizer/ is a whole model; a predictor alone gets the parts beside
    it, or SONAR's published codec. Raises UsageError for a name nobody knows and DownloadError
    for files that are not to be had. Without `predictor` only the codec is made sure of. The codec
    `sonar-space` knows its own cards as well, and takes them where no other files are named.
    """
    hub = _Hub(offline, progress)
    found_predictor, home = _predictor(model, config, hub, predictor)
    given = {"encoder": encoder, "decoder": decoder, "tokenizer": tokenizer}
    named = _from_cards(given, home, offline) if codec == "sonar-space" else given
    found = {part: _part(part, path, home, hub) for part, path in named.items()}
    return ModelPaths(
        predictor=found_predictor,
        predictor_config=Path(config) if config else None,
        embedded=model == MINI and not any(given.values()),
        **found,
    )


def summarizer(model: str, predictor: Path | None = None) -> Summarizer | None:
    """Tell whether a model was trained to write summaries: by our list, or by its own config.

    `predictor` is its folder, where that is here. None means that it was not.
    """
    name = next((name for name, (repository, _) in PUBLISHED.items() if model == repository), model)
    if name.casefold() in SUMMARIZERS:
        return Summarizer(*SUMMARIZERS[name.casefold()])
    if predictor is None or not (predictor / _CONFIG).is_file():
        return None
    from sonar_cli.model.shapes import read_json

    raw = read_json(predictor / _CONFIG)
    if not isinstance(cue := raw.get("summary_cue"), str):
        return None
    longest = raw.get("trained_len")
    return Summarizer(cue, longest if isinstance(longest, int) and longest > 0 else None)


def published(model: str) -> bool:
    """Tell whether a model is one of the published predictors, of which we know what they can."""
    return model.casefold() in PUBLISHED or any(model == each for each, _ in PUBLISHED.values())


def known() -> tuple[KnownModel, ...]:
    """Return the models that have names, and whether their files are here."""
    hub = _Hub(offline=True, progress=False)
    published = (
        KnownModel(name, repository, size, hub.has_model(repository), name in SUMMARIZERS)
        for name, (repository, size) in PUBLISHED.items()
    )
    own = summarizer(MINI, EMBEDDED / "predictor") is not None
    return (KnownModel(MINI, "in the package", "8 M with its codec", True, own), *published)


def _predictor(model: str, config: str | None, hub: _Hub, wanted: bool) -> tuple[Path, Path | None]:
    """Return the predictor's path, and the folder where its codec may lie."""
    if model == MINI:
        return EMBEDDED / "predictor", EMBEDDED
    path = Path(model).expanduser()
    if path.is_dir():
        whole = (path / "predictor").is_dir()
        folder = path / "predictor" if whole else path
        if not ((folder / _CONFIG).is_file() or config):
            raise UsageError(f"{model} holds no {_CONFIG}; it is no model (or give --config FILE)")
        return folder, path if whole else path.parent
    if path.is_file():
        if config is None:
            raise UsageError(f"{model} is a bare checkpoint; give its JSON with --config FILE")
        return path, path.parent
    repository = PUBLISHED.get(model.casefold(), (model, ""))[0]
    if _REPOSITORY.fullmatch(repository):
        if not wanted:
            return Path(repository), None
        return hub.model(repository, own_config=config is not None), None
    raise UsageError(_unknown(model))


def _from_cards(given: Parts, home: Path | None, offline: bool) -> Parts:
    """Replace the names of sonar-space's cards by their files."""
    from sonar_cli.hub import cards

    own = {"encoder": cards.ENCODER, "decoder": cards.DECODER, "tokenizer": cards.ENCODER}
    if given["encoder"] and _is_card(given["encoder"]):
        own["tokenizer"] = given["encoder"]
    found: Parts = {}
    for part, name in given.items():
        if name is None and not _beside(home, part):
            name = own[part]
        if name is not None and _is_card(name):
            field = "tokenizer" if part == "tokenizer" else "checkpoint"
            name = str(cards.card_file(name, field, offline))
        found[part] = name
    return found


def _beside(home: Path | None, part: str) -> Path | None:
    """Return a part's folder beside the model, if there is one."""
    return home / part if home is not None and (home / part).is_dir() else None


def _is_card(name: str) -> bool:
    return not (Path(name).expanduser().exists() or _REPOSITORY.fullmatch(name))


def _part(part: str, given: str | None, home: Path | None, hub: _Hub) -> Path:
    if given is not None:
        path = Path(given).expanduser()
        if path.exists():
            return path
        if not _REPOSITORY.fullmatch(given):
            raise UsageError(f"--{part} {given}: no such file, directory or Hub repository")
        return hub.tokenizer(given) if part == "tokenizer" else hub.model(given)
    if beside := _beside(home, part):
        return beside
    if part == "tokenizer":
        return hub.tokenizer(SONAR_ENCODER)
    return hub.model(SONAR_ENCODER if part == "encoder" else SONAR_DECODER)


def _unknown(model: str) -> str:
    names = [MINI, *PUBLISHED]
    near = difflib.get_close_matches(model.casefold(), names, 3, 0.4) or names
    return (
        f"unknown model {model!r}: no such file or directory, and no name; "
        f"near: {', '.join(near)}, or a Hub repository owner/name"
    )


class _Hub:
    """The Hugging Face Hub through its own library, one file at a time."""

    def __init__(self, offline: bool, progress: bool) -> None:
        self.offline = offline
        self.progress = progress

    def model(self, repository: str, own_config: bool = False) -> Path:
        """Return the folder that holds a repository's config and weights."""
        if not own_config:
            self._first(repository, (_CONFIG,), self._file)
        if weights := self._cached_weights(repository):
            return weights.parent
        return self._first(repository, _WEIGHTS, self._weights).parent

    def tokenizer(self, repository: str) -> Path:
        """Return a repository's SentencePiece file; what lists its languages comes beside it."""
        cached = (self._cached(repository, name) for name in TOKENIZER_FILES)
        file = next((path for path in cached if path), None)
        file = file or self._first(repository, TOKENIZER_FILES, self._file)
        for name in _LANGUAGE_FILES:
            self._optional(repository, name)
        return file

    def has_model(self, repository: str) -> bool:
        """Tell whether a repository's weights are in the cache."""
        return self._cached_weights(repository) is not None

    def _weights(self, repository: str, name: str) -> Path:
        """Get weights in one file, or in the shards that an index lists."""
        from huggingface_hub.errors import EntryNotFoundError

        from sonar_cli.model.files import locate

        try:
            return self._file(repository, name)
        except EntryNotFoundError:
            index = self._file(repository, f"{name}.index.json")
        for shard in locate(index.parent):
            self._file(repository, shard.name)
        return index

    def _cached_weights(self, repository: str) -> Path | None:
        for name in _WEIGHTS:
            if found := self._cached(repository, name):
                return found
            index = self._cached(repository, f"{name}.index.json")
            if index and all(shard.exists() for shard in _shards(index)):
                return index
        return None

    def _first(
        self, repository: str, names: tuple[str, ...], get: Callable[[str, str], Path]
    ) -> Path:
        """Get the first of the names that the repository has."""
        from huggingface_hub.errors import EntryNotFoundError

        for name in names:
            try:
                return get(repository, name)
            except EntryNotFoundError:
                continue
        raise DownloadError(f"{repository} has no {' or '.join(names)}; is it the right one?")

    def _optional(self, repository: str, name: str) -> None:
        """Get a file if it is to be had; a repository known to lack it is not asked again."""
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError

        if try_to_load_from_cache(repository, name) is None:
            with suppress(EntryNotFoundError, DownloadError):
                self._file(repository, name)

    def _cached(self, repository: str, name: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repository, name)
        return Path(found) if isinstance(found, str) else None

    def _file(self, repository: str, name: str) -> Path:
        """Return a file of a repository, from the cache or downloaded (an old part is resumed)."""
        if found := self._cached(repository, name):
            return found
        from huggingface_hub import constants, hf_hub_download, logging
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

        if self.offline or constants.HF_HUB_OFFLINE:
            forbidden = "--offline" if self.offline else "HF_HUB_OFFLINE"
            raise DownloadError(
                f"{repository} is not in the cache and {forbidden} forbids asking for it; run "
                f"once without that, which downloads it, or use -m {MINI}"
            )
        _check_network(repository, name)
        logging.set_verbosity_error()
        (enable_progress_bars if self.progress else disable_progress_bars)()
        try:
            return Path(hf_hub_download(repository, name))
        except LocalEntryNotFoundError as error:
            raise DownloadError(_unreachable(repository, name)) from error
        except EntryNotFoundError:
            raise
        except Exception as error:  # whatever the HTTP library of the day raises
            raise DownloadError(_failed(repository, name, error)) from error


@lru_cache(maxsize=1)
def _network() -> bool:
    """Try the Hub's address once: huggingface_hub itself would retry for half a minute."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if address.scheme in getproxies():
        return True
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=10).close()
    except OSError:
        return False
    return True


def _check_network(repository: str, name: str) -> None:
    if not _network():
        raise DownloadError(_unreachable(repository, name))


def _shards(index: Path) -> list[Path]:
    from sonar_cli.model.shapes import read_json

    return [index.parent / shard for shard in set(read_json(index)["weight_map"].values())]


def _unreachable(repository: str, name: str) -> str:
    return (
        f"could not get {name} of {repository}: the Hub cannot be reached and the file is not in "
        f"the cache; -m {MINI} and local paths work without a network"
    )


def _failed(repository: str, name: str, error: Exception) -> str:
    from huggingface_hub.errors import RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        return f"there is no repository {repository} on the Hub, or it is private; check the name"
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
    return (
        f"could not get {name} of {repository} ({reason}); run it again to go on where it "
        f"stopped, or use -m {MINI}"
    )
