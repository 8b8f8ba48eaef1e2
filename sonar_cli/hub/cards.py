"""Find the files of sonar-space's cards, which are named models, in fairseq2's cache."""

from __future__ import annotations

import difflib
from pathlib import Path

from sonar_cli.errors import DownloadError, UsageError
from sonar_cli.model.codec.sonar_space import require

ENCODER = "text_sonar_basic_encoder"
DECODER = "text_sonar_basic_decoder"


def card_file(name: str, field: str, offline: bool = False) -> Path:
    """Return the file of a card: `field` is "checkpoint" or "tokenizer".

    fairseq2 downloads the file if it is not in its cache. Raises DownloadError if that fails or if
    `offline` forbids it, UsageError for an unknown card, and SonarError without sonar-space.
    """
    require()
    from fairseq2.assets import AssetDownloadError, AssetNotFoundError
    from fairseq2.assets import get_asset_download_manager as downloads
    from fairseq2.assets import get_asset_store as cards

    try:
        card = cards().retrieve_card(name)
    except AssetNotFoundError as error:
        raise UsageError(_unknown(name, sorted(cards().asset_names))) from error
    uri = card.field(field).as_uri()
    get = downloads().download_model if field == "checkpoint" else downloads().download_tokenizer
    try:
        return Path(get(uri, local_only=offline))
    except AssetDownloadError as error:
        forbidden = " and --offline forbids asking for it" if offline else ""
        raise DownloadError(
            f"could not get the {field} of {name}, {uri}: it is not in fairseq2's cache"
            f"{forbidden or ' and cannot be reached'}; local files work without a network"
        ) from error


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 3, 0.4) or [ENCODER, DECODER]
    return f"{name}: no such file or directory, and no card of sonar-space; near: {', '.join(near)}"
