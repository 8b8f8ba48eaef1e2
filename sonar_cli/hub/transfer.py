"""One file of a Hub repository: what is stated of it, and its content.

huggingface_hub gives a partial file another name in each run, from version 1 on, and so begins
anew where it was killed. Here it keeps its name, and a later run asks for the rest with a Range
request. Contents are checked against the stated hash before they get their place in the cache.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, TypeVar

from sonar_cli.errors import DownloadError
from sonar_cli.hub import hashes, store
from sonar_cli.hub.answers import (
    Asked,
    BrokenOff,
    NoSuchFile,
    Refused,
    broken_off,
    no_file,
    pause,
    refusal,
    unreachable,
)
from sonar_cli.hub.store import Stated

Notify = Callable[[str], None]
# Told how many bytes of the file are here.
OnBytes = Callable[[int], None]
Result = TypeVar("Result")

# Bytes that are written at a time, and at most lost when the program is killed.
_PIECE = 2**20
# Seconds of waiting above which the user is told.
_LONG = 10


def ask(repository: str, name: str, notify: Notify) -> Stated:
    """Return what the Hub states of a file.

    Raises NoSuchFile if the repository has none of that name, which is then remembered, and
    DownloadError for every other answer.
    """
    asked = Asked(repository, name)
    if not _network():
        raise unreachable(asked)
    try:
        return _persist(asked, notify, lambda: _head(asked))
    except NoSuchFile as error:
        if error.commit:
            store.remember_missing(repository, name, error.commit)
        raise


def fetch(file: Stated, notify: Notify, on_bytes: OnBytes) -> None:
    """Download a file into the cache, unless its content is there already.

    What an earlier run left is kept, and only the rest is asked for. Raises DownloadError if it
    cannot be had whole.
    """
    asked = Asked(file.repository, file.name)
    with store.alone(file):
        store.clear_abandoned(file)
        for last in (False, True):
            if file.blob.exists():
                break
            _persist(
                asked,
                notify,
                lambda: _receive(file, asked, notify, on_bytes),
                lambda: file.partial.stat().st_size if file.partial.exists() else 0,
            )
            _accept(file, asked, notify, last)
        store.put(file)


def _persist(
    asked: Asked,
    notify: Notify,
    attempt: Callable[[], Result],
    came: Callable[[], int] = lambda: 0,
) -> Result:
    """Return what an attempt gives; try again while `pause` says so, from one where bytes came."""
    tries, before = 0, came()
    while True:
        try:
            return attempt()
        except (Refused, BrokenOff) as error:
            tries = tries + 1 if came() <= before else 1
            before = came()
            seconds = pause(error, tries)
            if seconds is None:
                if isinstance(error, Refused):
                    raise refusal(error, asked) from error
                raise broken_off(asked, error) from error
            if seconds > _LONG:
                notify(f"the Hub is asked too often and wants {seconds:.0f} seconds of rest")
            time.sleep(seconds)


def _head(asked: Asked) -> Stated:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        found = get_hf_file_metadata(hf_hub_url(asked.repository, asked.name))
    except HfHubHTTPError as error:
        if error.response is None:
            raise BrokenOff(str(error)) from error
        raise Refused(error.response.status_code, error.response.headers) from error
    except Exception as error:  # of the HTTP library, which differs between versions
        raise BrokenOff(str(error) or type(error).__name__) from error
    named = found.etag and all(each.isalnum() or each in "-_" for each in found.etag)
    if not (named and found.etag and found.commit_hash):
        raise no_file(asked)
    return Stated(asked.repository, asked.name, found.commit_hash, found.etag, found.size)


def _receive(file: Stated, asked: Asked, notify: Notify, on_bytes: OnBytes) -> None:
    """Append to the partial file what it still lacks."""
    with file.partial.open("ab") as out, ExitStack() as stack:
        if file.size is not None and out.tell() > file.size:
            out.truncate(0)
        start = out.tell()
        if start == file.size:
            return
        response, pieces = _get(stack, file, start)
        if response.status_code not in (200, 206):
            if response.status_code == 416:  # nothing follows: what is here is from another file
                out.truncate(0)
            raise Refused(response.status_code, response.headers)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise no_file(asked)
        if start and response.status_code == 200:
            notify(f"{asked}: the server cannot go on at a given place; it starts over")
            out.truncate(0)
        for piece in pieces:
            _write(out, piece, file)
            on_bytes(out.tell())
    if file.size is not None and file.partial.stat().st_size < file.size:
        raise BrokenOff("the connection ended early")


def _get(stack: ExitStack, file: Stated, start: int) -> tuple[Any, Iterator[bytes]]:
    """Ask for a file from an offset on; return the answer and its pieces.

    The library's session is one of requests before version 1, and one of httpx since. Both send
    the token to no other host than the Hub.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session

    url = hf_hub_url(file.repository, file.name, revision=file.commit)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    session: Any = get_session()
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        if callable(getattr(session, "stream", None)):
            opened = session.stream("GET", url, headers=headers, timeout=timeout)
            response = stack.enter_context(opened)
            return response, _broken_off(response.iter_bytes(_PIECE))
        opened = session.get(url, headers=headers, timeout=timeout, stream=True)
        response = stack.enter_context(opened)
        return response, _broken_off(response.iter_content(_PIECE))
    except Exception as error:  # of the HTTP library, which differs between versions
        raise BrokenOff(str(error) or type(error).__name__) from error


def _broken_off(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except Exception as error:  # of the HTTP library, which differs between versions
        raise BrokenOff(str(error) or type(error).__name__) from error


def _write(out: Any, piece: bytes, file: Stated) -> None:
    try:
        out.write(piece)
    except OSError as error:
        raise DownloadError(
            f"{file.partial}: {error.strerror}; what has come so far is kept, so make room and run "
            "it again"
        ) from error


def _accept(file: Stated, asked: Asked, notify: Notify, last: bool) -> None:
    """Give a partial file its name if it is what was stated; else delete it.

    Raises DownloadError if it is not for the `last` time.
    """
    if hashes.is_hash(file.etag) and hashes.digest(file.partial, file.etag) != file.etag:
        file.partial.unlink()
        if last:
            raise DownloadError(
                f"{asked} comes with other bytes than the Hub states, twice; something between "
                "changes it: check the proxy, or try again later"
            )
        notify(f"{asked} came with other bytes than the Hub states; it starts over")
        return
    os.replace(file.partial, file.blob)


@lru_cache(maxsize=1)
def _network() -> bool:
    """Tell whether the Hub is reachable, so that no one waits for several tries where it is not."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if address.scheme in getproxies():
        return True
    port = address.port or (443 if address.scheme == "https" else 80)
    try:  # for 10 seconds
        socket.create_connection((address.hostname or "", port), timeout=10).close()
    except OSError:
        return False
    return True
