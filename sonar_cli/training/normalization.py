"""How a tokenizer of ours writes text: NFKC, with typewriter's quotes and two kinds of dash."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

# What one character, or two, become. Books and web pages differ in these and mean the same, and a
# small codec has better things to learn.
_OURS = {
    **dict.fromkeys("“”„‟«»″", '"'),
    "``": '"',
    "''": '"',
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("‐‑‒–−", "-"),
    **dict.fromkeys(("―", "⸺", "⸻", "--", "---", "——"), "—"),
}
_SPACES = "\t\n\v\f\r\x85\u2028\u2029"


def rules() -> dict[str, str]:
    """Return what is replaced by what: a tokenizer takes the longest of these at each place.

    Every character becomes its NFKC form and a letter with accents behind it one character;
    controls and characters of no width are left out, and all white space is a blank.

    >>> table = rules()
    >>> [table[each] for each in ("“", "--", "ﬁ", "e" + chr(0x301), chr(0x200B))]
    ['"', '—', 'fi', 'é', '']
    """
    return {**dict(_nfkc()), **dict.fromkeys(_SPACES, " "), **_OURS}


def tsv() -> str:
    """Return `rules` as SentencePiece reads them: code points in hexadecimal, a rule a line."""
    lines = (f"{_hex(source)}\t{_hex(target)}\n" for source, target in sorted(rules().items()))
    return "".join(lines)


def _nfkc() -> Iterator[tuple[str, str]]:
    for code in range(1, sys.maxunicode + 1):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind in ("Cs", "Cn", "Co"):  # surrogates, and what has no meaning of its own
            continue
        if kind in ("Cc", "Cf"):
            yield char, ""
            continue
        normal = unicodedata.normalize("NFKC", char)
        if normal != char:
            yield char, normal
        elif not unicodedata.name(char, "").startswith("HANGUL"):
            # Fully decomposed, and the last accent alone apart.
            parts = unicodedata.decomposition(char)
            if parts and not parts.startswith("<"):
                yield "".join(chr(int(part, 16)) for part in parts.split()), char
                yield unicodedata.normalize("NFD", char), char


def _hex(text: str) -> str:
    return " ".join(f"{ord(char):X}" for char in text)
