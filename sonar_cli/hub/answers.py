"""What the Hub's answers mean: whether to wait and ask again, and the line for the user if not."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sonar_cli.errors import DownloadError
from sonar_cli.options import MINI

# Seconds before each further try, where the answer names none.
PAUSES = (1.0, 2.0, 4.0, 8.0)
# The most seconds to wait where an answer asks for it.
LONGEST_WAIT = 60
_BUSY = (408, 429, 500, 502, 503, 504)


class NoSuchFile(DownloadError):
    """The repository is there and has no such file; `commit` is its newest, "" if not told."""

    def __init__(self, message: str, commit: str = "") -> None:
        super().__init__(message)
        self.commit = commit


class BrokenOff(Exception):
    """The connection could not be made, or broke; another try may go on."""


class Refused(Exception):
    """An answer with an HTTP status that is no success, and its headers."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True)
class Asked:
    """The file that was asked for."""

    repository: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} of {self.repository}"


def pause(error: Exception, tries: int) -> float | None:
    """Return the seconds to wait after so many tries in vain, or None to give up.

    >>> pause(Refused(503, {}), 1), pause(Refused(429, {"Retry-After": "7"}), 1)
    (1.0, 7.0)
    >>> pause(Refused(429, {"Retry-After": "3600"}), 1), pause(Refused(404, {}), 1)
    (None, None)
    """
    if tries > len(PAUSES):
        return None
    if isinstance(error, Refused):
        if error.status not in _BUSY:
            return None
        if (wait := asked_wait(error)) is not None:
            return wait if wait <= LONGEST_WAIT else None
    return PAUSES[tries - 1]


def asked_wait(error: Refused) -> float | None:
    """Return the seconds that an answer asks to wait, or None if it names none.

    >>> asked_wait(Refused(429, {"RateLimit": '"resolvers";r=0;t=55'}))
    55.0
    """
    value = error.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (TypeError, ValueError):
            return None
    limit = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", error.headers.get("ratelimit", ""))
    return float(limit[1]) if limit else None


def refusal(error: Refused, asked: Asked) -> DownloadError:
    """Return the error for the user: what the status means here, and what to do."""
    status, code = error.status, error.headers.get("x-error-code", "")
    if code == "EntryNotFound":
        return NoSuchFile(f"there is no {asked}", error.headers.get("x-repo-commit", ""))
    if code == "GatedRepo":
        return DownloadError(
            f"{asked.repository} is gated: ask for access on its page, {_page(asked)}, and log in "
            f"({_log_in()})"
        )
    if code == "RepoNotFound" or status == 404:
        return DownloadError(
            f"there is no repository {asked.repository} on the Hub, or it is private; check the "
            f"name, or log in ({_log_in()})"
        )
    meaning = _MEANINGS.get(status) or _MEANINGS.get(status // 100) or "was refused; {again}"
    words = {
        "again": f"try again later, or use -m {MINI}",
        "log_in": _log_in(),
        "page": _page(asked),
        "said": said if (said := error.headers.get("x-error-message", "")) else "no reason given",
        "wait": _spoken(asked_wait(error)),
    }
    return DownloadError(f"could not get {asked}: HTTP {status}: it {meaning.format(**words)}")


_MEANINGS = {
    401: "needs a log-in, or the token that was sent is no longer valid; log in ({log_in})",
    403: "is forbidden for you ({said}); ask for access on {page}, with a token that may read it",
    407: "needs a log-in at your proxy; put the name and password into HTTPS_PROXY",
    410: "was removed from the Hub for good; name another model, or a local folder",
    429: "was asked for too often from here; {wait}, or log in ({log_in}), which allows more",
    451: "is withheld for legal reasons where you are; name another model, or a local folder",
    5: "failed on the Hub's own side, several times; {again}",
}


def unreachable(asked: Asked) -> DownloadError:
    """Return the error for a Hub that cannot be reached."""
    return DownloadError(
        f"could not get {asked}: the Hub cannot be reached and the file is not in the cache; "
        f"-m {MINI} and local paths work without a network"
    )


def broken_off(asked: Asked, reason: BaseException) -> DownloadError:
    """Return the error for a connection that broke again and again."""
    told = (str(reason).strip().splitlines() or [type(reason).__name__])[0][:150]
    return DownloadError(
        f"could not get {asked} ({told}); run it again to go on where it stopped, or use -m {MINI}"
    )


def no_file(asked: Asked) -> DownloadError:
    """Return the error for a web page where a file should be."""
    return DownloadError(
        f"could not get {asked}: the answer is a web page, not the file; log in to this network in "
        "a browser, or check HF_ENDPOINT and the proxy"
    )


def _page(asked: Asked) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{asked.repository}"


def _log_in() -> str:
    """Return how to log in; the command has another name since version 0.34 of the library."""
    from huggingface_hub import __version__

    major, minor = (int(part) for part in __version__.split(".")[:2])
    command = "hf auth login" if (major, minor) >= (0, 34) else "huggingface-cli login"
    return f"`{command}`, or HF_TOKEN=your token"


def _spoken(seconds: float | None) -> str:
    """Return when to try again, for a message.

    >>> _spoken(3600), _spoken(None)
    ('try again in 60 minutes', 'try again later')
    """
    if seconds is None:
        return "try again later"
    if seconds < 120:
        return f"try again in {seconds:.0f} seconds"
    return f"try again in {seconds / 60:.0f} minutes"
