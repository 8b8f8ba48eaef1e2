"""What LaTeX's commands and environments stand for in `latex`."""

from __future__ import annotations

import re
import unicodedata

HEADINGS = frozenset(
    "title part chapter section subsection subsubsection paragraph subparagraph frametitle".split()
)
# Notes and references: they go with their arguments and with the space before them.
NOTES = re.compile(
    r"\w*cite\w*|(?:eq|page|auto|name|c|C|v)?ref|label|index|footnote\w*|thanks|nocite"
)
# These go with all their arguments, and these with so many of them.
DROPPED = frozenset(
    "usepackage documentclass includegraphics input include subfile bibliography bibliographystyle "
    "addbibresource vspace hspace setlength addtolength newcommand renewcommand providecommand "
    "newenvironment renewenvironment newtheorem theoremstyle DeclareMathOperator pagestyle "
    "thispagestyle pagenumbering setcounter addtocounter stepcounter hypersetup definecolor color "
    "author date affil institute address email keywords hyphenation phantom rule todo marginpar "
    "graphicspath selectlanguage captionsetup lstset geometry".split()
)
FIRST_DROPPED = {
    **dict.fromkeys("textcolor href colorbox parbox scalebox raisebox foreignlanguage".split(), 1),
    **dict.fromkeys("resizebox multicolumn multirow fontsize".split(), 2),
}
# The argument is shown as it is, for sources that are named in a sentence by their keys.
VERBATIM = frozenset("url path nolinkurl citet Citet textcite Textcite citeauthor".split())
# Environments without prose, displayed formulas inside a sentence, and those with arguments.
CODE = frozenset(
    "verbatim Verbatim lstlisting minted comment filecontents tikzpicture picture algorithm "
    "algorithmic thebibliography figure wrapfigure".split()
)
TABLES = frozenset("table tabular tabularx tabulary longtable array tabbing".split())
FORMULAS = frozenset(
    "equation align gather multline eqnarray displaymath math flalign alignat dmath".split()
)
NO_PROSE = CODE | TABLES | FORMULAS
WITH_ARGUMENTS = frozenset("minipage multicols column adjustbox spacing list textblock".split())

# Braces, but in what is shown as it is, such as an address with a per cent sign.
_BRACES = re.compile(
    r"\\(?:url|path|nolinkurl|href)(?P<open>\{)[^{}\s]*\}|\\verb\*?([^\w\s]).{0,200}?\2"
    r"|\\(?s:.)|%[^\n]*|[{}]"
)

SYMBOLS = {
    **{"ldots": "…", "dots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—"},
    **{"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å"},
    **{"AA": "Å", "l": "ł", "L": "Ł", "i": "i", "j": "j", "LaTeX": "LaTeX", "TeX": "TeX"},
    **{"S": "§", "P": "¶", "copyright": "©", "pounds": "£", "euro": "€", "textbackslash": "\\"},
    **{"textquoteright": "’", "textquoteleft": "‘", "textquotedblleft": "“"},
    **{"textquotedblright": "”", "textasciitilde": "~", "textunderscore": "_"},
    **{"ie": "i.e.", "eg": "e.g.", "etal": "et al.", "quad": " ", "qquad": " ", "space": " "},
    **{"newline": " ", "linebreak": " ", " ": " ", "\n": " ", ",": " ", ";": " ", ":": " "},
    **dict.fromkeys("()!/-@", ""),
    **{"``": "“", "''": "”", "`": "‘", "--": "–", "---": "—", "~": " ", "\\": " "},
}
IN_MATH = {
    **{"times": "×", "cdot": "·", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥"},
    **{"ne": "≠", "neq": "≠", "approx": "≈", "sim": "∼", "infty": "∞", "to": "→", "in": "∈"},
    **{"rightarrow": "→", "cdots": "…", "circ": "°", "sum": "∑", "equiv": "≡", "subset": "⊂"},
    **{name: name for name in "sin cos tan log ln exp max min lim".split()},
}
_GREEK = re.compile(
    r"(?:var)?(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho"
    r"|sigma|tau|upsilon|phi|chi|psi|omega)",
    re.I,
)
_ACCENTS = dict(
    zip("'`^\"~=.cvuHkrdb", map(chr, (
        *(0x301, 0x300, 0x302, 0x308, 0x303, 0x304, 0x307, 0x327),
        *(0x30C, 0x306, 0x30B, 0x328, 0x30A, 0x323, 0x331),
    )), strict=True)
)  # fmt: skip


def formula_sign(name: str) -> str:
    """Return what a command in a formula shows, or "" if it only arranges.

    >>> formula_sign("leq"), formula_sign("Delta"), formula_sign("frac")
    ('≤', 'Δ', '')
    """
    if greek := _GREEK.fullmatch(name):
        case = "CAPITAL" if name[0].isupper() else "SMALL"
        word = greek[1].upper().replace("LAMBDA", "LAMDA")
        return unicodedata.lookup(f"GREEK {case} LETTER {word}")
    return IN_MATH.get(name, SYMBOLS.get(name, ""))


def accented(letter: str, accent: str) -> str:
    """Return a letter with the accent that a command adds.

    >>> accented("e", "'"), accented("c", "c")
    ('é', 'ç')
    """
    return unicodedata.normalize("NFC", letter + _ACCENTS[accent])


def closing_braces(text: str) -> dict[int, int]:
    """Return where each brace is closed that is opened at an offset; others are missing.

    >>> closing_braces("{a{b}")
    {2: 4}
    """
    closing: dict[int, int] = {}
    opened: list[int] = []
    for found in _BRACES.finditer(text):
        if found[0] == "{":
            opened.append(found.start())
        elif found[0] == "}" and opened:
            closing[opened.pop()] = found.start()
        elif found["open"]:
            closing[found.start("open")] = found.end() - 1
    return closing
