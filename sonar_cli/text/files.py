"""Read bytes or text from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from sonar_cli.errors import InputError
from sonar_cli.text.charsets import decode

STDIN = "-"


def shown_name(name: str) -> str:
    """Return a file's name as messages show it: "standard input" for "-"."""
    return "standard input" if name == STDIN else name


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for "-".

    Raises InputError if the file is missing, a directory, or cannot be read for another reason.
    """
    shown = shown_name(name)
    try:
        return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{shown} is a directory; give the files in it") from None
    except PermissionError:
        raise InputError(f"{shown}: no permission to read it") from None
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror or error}") from None


def read_text(name: str, encoding: str | None = None) -> str:
    """Read a text from a file, or from standard input for "-"; keep UTF-8's byte order mark.

    `encoding` names its character set; without it `charsets.decode` finds that out. Raises
    InputError if `read_bytes` or `decode` does, and if the text is empty.
    """
    shown = shown_name(name)
    text = decode(read_bytes(name), shown, name, encoding)
    if not text.replace("\ufeff", "").strip():
        raise InputError(f"{shown} is empty; there is nothing to work on")
    return text
