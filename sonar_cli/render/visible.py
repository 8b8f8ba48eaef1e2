"""Text that is safe to show: what would steer a terminal, or is no character, is written out."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

# Half of a character, or a byte of a file's name that is no UTF-8.
_SURROGATES = re.compile("[\ud800-\udfff]+")
# What steers a terminal or turns the order of its letters: C0 but line feed and tab, DEL and C1,
# line and paragraph separators, and the embeddings, overrides and isolates of the bidi algorithm.
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Return a text that steers no terminal: control characters are written as escapes.

    These are C0 without line feed and tab, C1, and those that turn the order of letters. Lone
    surrogates are written out as in `written_out`.

    >>> print(visible("a \x1b[31mred\x1b[0m kite\x07, \u202egnp.exe"))
    a \x1b[31mred\x1b[0m kite\x07, \u202egnp.exe
    """
    return _CONTROLS.sub(lambda found: _escape(found[0]), written_out(text))


def written_out(text: str) -> str:
    r"""Return a text without lone surrogates, which no character set can hold.

    A byte of a file's name that is no UTF-8, which Python keeps as a surrogate, becomes its escape;
    any other half of a character becomes U+FFFD.

    >>> print(written_out("caf\udce9.txt"), written_out("\udcc3\udca9 \ud800."))
    caf\xe9.txt é �.
    """
    return _SURROGATES.sub(lambda found: _bytes(found[0]), text)


def as_json(record: Any, out: TextIO) -> str:
    r"""Return a record as JSON that `out` can hold: valid whatever its strings are.

    Characters that `out` cannot write, and on a terminal those that would steer it, are JSON's own
    escapes, which lose nothing; lone surrogates are written out.

    >>> import io
    >>> latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    >>> print(as_json({"file": "caf\udce9", "text": "日 é"}, latin))
    {"file": "caf\\xe9", "text": "\u65e5 \u00e9"}
    """
    line = json.dumps(record, ensure_ascii=False)
    line = _SURROGATES.sub(
        lambda found: json.dumps(_bytes(found[0]), ensure_ascii=False)[1:-1], line
    )
    if out.isatty():
        line = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
    try:
        line.encode(out.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(line))
    return line


def _bytes(surrogates: str) -> str:
    halves = re.sub("[^\udc80-\udcff]", "\ufffd", surrogates)
    return halves.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _escape(control: str) -> str:
    code = ord(control)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
