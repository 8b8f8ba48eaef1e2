"""LaTeX: what is prose in it, and where its sentences stand."""

from __future__ import annotations

import pytest

from tests.text.reading import found, prose, sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\documentclass{a}\nNo. No.\n\\begin{document}\nTom ran.\n\\end{document}\nNo.\n",
         ["Tom ran."]),
        ("\\chapter*{Kites}\\label{a}\nTom ran.\n\\paragraph{He} sat.\n", ["Tom ran.", "sat."]),
        ("\\section{Not closed. Tom ran.\n", ["Not closed.", "Tom ran."]),
        # Environments.
        ("\\begin{abstract}\nTom ran.\n\\end{abstract}\nHe sat.\n", ["Tom ran.", "He sat."]),
        ("\\begin{verbatim}\nfly. \\end{b} Now.\n\\end{verbatim}\nTom ran.\n", ["Tom ran."]),
        ("\\begin{figure}[h]\n\\caption{A kite. Red.}\n\\end{figure}\nTom ran.\n", ["Tom ran."]),
        ("\\begin{tabular}{l}a. & b.\\end{tabular}\n\nTom ran.\n", ["Tom ran."]),
        ("\\begin{figure} Not closed. Read.\n", ["Not closed.", "Read."]),
        ("\\begin{minipage}[t]{3cm}\nTom ran.\n\\end{minipage}\n", ["Tom ran."]),
        ("\\begin{itemize}\n\\item One\nmore.\n\\item[Two] of it.\n\\end{itemize}\n",
         ["One more.", "Two of it."]),
        # Formulas.
        ("It is\n\\begin{align*}\na. b\n\\end{align*}\nhere. So \\[ a. b \\] is $$ a. b $$ this.\n",
         ["It is here.", "So is this."]),
        ("As $\\beta_{2} \\leq x^2$, so \\(y\\).\n", ["As β_2 ≤ x^2, so y."]),
        # Commands.
        ("It \\emph{is \\textbf{so}}, \\foo{yes}. {\\it Tom} ran.\n",
         ["It is so, yes.", "Tom ran."]),
        ("It is so~\\cite[p. 3]{a}. See Figure~\\ref{b}\\footnote{No. No.}, too.\n",
         ["It is so.", "See Figure, too."]),
        ("As \\citet{roe} says. See \\href{http://x.org}{this} or \\url{http://y.org/a_b%20}.\n",
         ["As roe says.", "See this or http://y.org/a_b%20."]),
        ("\\newcommand{\\x}[1]{No. #1}\nTom ran.\n\\vspace{1em}\nHe sat.\n",
         ["Tom ran.", "He sat."]),
        ("Use \\verb|a{b| now. \\LaTeX{} is \\textcolor{red}{red}.\n",
         ["Use a{b now.", "LaTeX is red."]),
        # Signs.
        ("It is 5\\% \\& ``more''---so. % No. No.\nTom\\\\[2pt] ran% off\n fast.\n",
         ["It is 5% & “more”—so.", "Tom ranfast."]),
        ("Caf\\'e, na\\\"{\\i}ve, Erd\\H{o}s, \\c{c}a, stra\\ss e.\n",
         ["Café, naïve, Erdős, ça, straße."]),
        ("It costs \\$5.\n% No.\n\nIt is $5 or so.\n\nTom -- ran.\n",
         ["It costs $5.", "It is 5 or so.", "Tom – ran."]),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, expected: list[str]) -> None:
    assert prose(text, "latex") == expected
    assert prose(text.replace("\n", "\r\n"), "latex") == expected


def test_what_is_no_prose() -> None:
    text = (
        "\\section{Kites}\nTom.\n\\begin{verbatim}\nfly\n\\end{verbatim}\n"
        "\\begin{table}a\\end{table}"
    )
    assert [kind for kind, _ in found(text, "latex")] == ["heading", "prose", "code", "table"]


def test_sentences_stand_with_their_marks() -> None:
    text = "% No.\n\\label{a}\n\\emph{Tom} ran~\\cite{b}. It was \\textbf{late}.\n"
    assert sources(text, "latex") == ["\\emph{Tom} ran~\\cite{b}.", "It was \\textbf{late}."]
