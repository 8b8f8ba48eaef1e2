"""Characters and marks of all scripts: which end a sentence, and where a text can be cut at all."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Chinese and Japanese characters and punctuation: no space is written between two of these.
WIDE = (
    "\u2e80-\u2fdf\u3001-\u312f\u3190-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe10-\ufe1f\ufe30-\ufe4f"
    "\uff01-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# All scripts written without spaces between words: those of `WIDE`, Thai, Lao, Tibetan, Burmese and
# Khmer.
SPACELESS = WIDE + "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
# A line break between characters of these scripts, or after the zero width space that can separate
# their words: it stands for no space.
UNSPACED_BREAK = re.compile(rf"(?<=[{SPACELESS}\u200b])[^\S\n]*\n\s*(?=[{SPACELESS}])")

# Marks that end a sentence in any context: Chinese and Japanese, danda, Arabic, Armenian,
# Ethiopic, Khmer, Burmese, Sinhala, Ol Chiki, Meetei Mayek, and the Greek question mark.
FULL_STOPS = "。！？｡︒﹒﹖﹗।॥؟։።፧፨៕။෴᱾᱿꯫\u037e"
SHADS = "།༎༏༐༑"
# Closing quotes and brackets, and invisible format characters that belong to the text before them.
_BIDI = "\u200b-\u200f\u202c\u2060\u2069"
CLOSERS = rf"”’»)\]}}〉》」』】〕〗〙〛）］｝｣＂＇{_BIDI}\ufe0e\ufe0f"

# What may follow a closing mark: numbers of notes, and emoji with what joins and varies them.
RAISED = "\u00b9\u00b2\u00b3\u2070-\u2079"
EMOJI = "\u200d\ufe0f\u2600-\u27bf\U0001f000-\U0001faff"

# The ends of sentences that need no Punkt. `re` finds the one class at the beginning fast; then the
# look-behinds check which mark it was, and in what context.
_MARKS = r"""
[{first}]
(?: (?<=[{full}])
  | (?<=۔)(?!\d) | (?<=\D۔)                     # not a decimal point
  | (?<=។)(?!ល។)                                # ។ល។ is "and so on"
  | (?<=፡)፡ | (?<=[\u1200-\u135a]:):            # two word spaces for a full stop
  | (?<=[{shad}])(?:\s*[{shad}])*
  | (?<=[^0-9A-Za-z０-９Ａ-Ｚａ-ｚ]．)(?![0-9０-９])
  | (?:(?<=[{wide}][!?‼⁇⁈⁉])[!?‼⁇⁈⁉]*|(?<=[{wide}]\.)(?!\.))(?=["'{closers}]*[{wide}\s])
  | (?<=[.!?…])(?=[¿¡])
  | (?<=[^.!?…][.!?…])[.!?…]*["'{closers}]*[{bidi}]+(?=\s|$)
  {extra}
)
[{full}.!?…‼۔]*
(?:\s*\d[\d.-]{{0,6}}\s*॥)?                      # a verse's number
[{closers}]*
(?:\s»(?=[\s,;.]|$)[{closers}]*)?                # « French quotes »
"""


@cache
def marks(extra: str = "") -> re.Pattern[str]:
    """Return the pattern of the marks that end a sentence in any context.

    `extra` are further alternatives of it, each with its `|` in front, in verbose syntax. What they
    match follows one of the marks, which look-behinds tell.
    """
    first = f"{FULL_STOPS}{SHADS}۔។፡:．.!?…‼⁇⁈⁉" + (";" if ";" in extra else "")
    pattern = _MARKS.format(
        first=first,
        full=FULL_STOPS,
        shad=SHADS,
        wide=WIDE,
        closers=CLOSERS,
        bidi=_BIDI,
        extra=extra,
    )
    return re.compile(pattern, re.VERBOSE)


# An ellipsis as one sign or as dots, which may stand apart.
ELLIPSIS = re.compile(r"…|(?<=\.\.)\.|\.(?=\s\.)")
# What continues a sentence after a quotation: と, って, "he said", another mark.
AFTER_QUOTE = re.compile(
    r"と(?![てきころうもに])|って|など|なんて|[^，。！？…：“”「」\s]{0,8}?[说說道问問喊叫答][道着著]?[，。！？]"
)
# The beginnings of list items in Chinese and Japanese: 1、 （二） ① ・
ITEM = re.compile(
    r"[・●○■□◆◇※]\s*\S|[①-⑳]\s*\S|[0-9０-９]{1,3}[、．]\s*\S|[（(]?[一二三四五六七八九十]{1,3}[、）)]\S"
)

# Where a long sentence may be cut, in order of preference: clause marks, commas, spaces. A piece
# may end where a match ends.
SPACE = re.compile(r"(?<=\S)(?=\s)")
_AFTER = rf"[\"'{CLOSERS}]*"
CLAUSES = (
    re.compile(rf"(?:[;:·\u0387]{_AFTER}(?=\s)|[；：؛፤፦៖{SHADS}—―]+{_AFTER}|\s[-–](?=\s))"),
    re.compile(rf"(?:,{_AFTER}(?=\s)|[、，､،፣፥၊՝]{_AFTER})"),
    SPACE,
)
# Cuts where there is no space: after a tsheg, zero width space, slash, underscore or hyphen.
SOFT = re.compile(r"[་\u200b/_-]+")
SPACELESS_CHARACTER = re.compile(rf"[{SPACELESS}]")
SPACELESS_PAIR = re.compile(rf"[{SPACELESS}]{{2}}")
# White space between two Thai or Lao letters, not beside a number or a repetition mark (ๆ).
SPACE_BETWEEN_LETTERS = re.compile(
    r"(?<=[\u0e01-\u0e2e\u0e30-\u0e45\u0e47-\u0e4e\u0e81-\u0eae\u0eb0-\u0ec4\u0ec8-\u0ecd"
    r"\u0edc-\u0edf\"”)])[^\S\n]+(?=[\u0e01-\u0e2e\u0e40-\u0e44\u0e81-\u0eae\u0ec0-\u0ec4"
    r"\u0edc-\u0edf\"“(])"
)


def is_boundary(text: str, index: int, start: int = 0) -> bool:
    """Tell whether a text can be cut before `index` without splitting a grapheme cluster.

    A grapheme cluster is what a reader sees as one character. The rules are a simple form of those
    in Unicode's UAX #29. `start` is an earlier index that is known to be a boundary.

    >>> [is_boundary("e\\u0301a", index) for index in (1, 2)]
    [False, True]
    """
    if not start < index < len(text):
        return True
    before, after = text[index - 1], text[index]
    if after.isspace():
        return unicodedata.category(text[index + 1 : index + 2] or " ")[0] != "M"
    if _extends_cluster(after):
        return before.isspace() and unicodedata.category(after) == "Cf"
    # A zero width joiner and a virama (combining class 9) join the characters on both sides.
    if before == "\u200d" or unicodedata.combining(before) == 9:
        return False
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return False
    return not (_is_regional(before) and _is_regional(after) and _splits_flag(text, index, start))


def _extends_cluster(char: str) -> bool:
    """Tell whether a character continues a grapheme cluster: a mark, a joiner, a skin tone."""
    if unicodedata.category(char)[0] == "M":
        return True
    if unicodedata.category(char) == "Cf":
        return char not in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"  # these open a run of text
    return (
        "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\u1160" <= char <= "\u11ff"  # Hangul vowels and final consonants
        or char in "\u0e33\u0eb3\uff9e\uff9f"  # Thai and Lao am, half-width voicing
    )


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _splits_flag(text: str, index: int, start: int) -> bool:
    """Tell whether a cut splits a flag, a pair of regional indicators: an odd number is before."""
    first = index
    while first > start and _is_regional(text[first - 1]):
        first -= 1
    return (index - first) % 2 == 1
