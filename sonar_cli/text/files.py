"""Read bytes or UTF-8 text from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from sonar_cli.errors import InputError

STDIN = "-"


def shown_name(name: str) -> str:
    """Return a file's name as messages show it: "standard input" for "-"."""
    return "standard input" if name == STDIN else name


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for "-".

    Raises InputError if the file is missing, a directory, or cannot be read for another reason.
    """
    if name == STDIN:
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory; give the files in it") from None
    except PermissionError:
        raise InputError(f"{name}: no permission to read it") from None
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None


def read_text(name: str) -> str:
    """Read a UTF-8 text from a file, or from standard input for "-"; keep a byte order mark.

    Raises InputError if `read_bytes` does, if the text is empty, and for UTF-16, NUL bytes and
    bytes that are not UTF-8; the message names the byte offset of the first such byte.
    """
    raw = read_bytes(name)
    shown = shown_name(name)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{shown} is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8")
    if (zero := raw.find(b"\0")) >= 0:
        raise InputError(f"{shown} is not a text: there is a NUL byte at offset {zero}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}; "
            "convert it with iconv"
        ) from None
    if not text.replace("\ufeff", "").strip():
        raise InputError(f"{shown} is empty; there is nothing to work on")
    return text
