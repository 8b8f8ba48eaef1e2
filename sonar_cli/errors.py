"""User-facing errors.

Each message is one line that says what is wrong and what to do next. `exit_status` follows the
command line's contract: 1 for work that failed, 2 for wrong usage.
"""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, for messages.

    >>> counted(1, "text"), counted(0, "text")
    ('1 text', '0 texts')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


class SonarError(Exception):
    """The work failed: an unreadable file, a broken checkpoint, no network."""

    exit_status = 1


class UsageError(SonarError):
    """The request itself is wrong: an unknown model, language or device."""

    exit_status = 2


class InputError(SonarError):
    """A text or vector file that cannot be used as input."""


class CheckpointError(SonarError):
    """A checkpoint that is truncated, of another architecture, or of another width."""


class TrainingError(SonarError):
    """A training that cannot go on: its loss is no number any more."""


class CacheError(SonarError):
    """The cache of vectors cannot be opened, read or written; vectors are made without it."""


class DownloadError(SonarError):
    """Files that a model needs are neither in the cache nor to be had."""
