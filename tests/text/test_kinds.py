"""What people's files have that tore, lost or added text: one example of each kind.

A case is a file's name, its contents and the sentences that a summary may choose. The modules of
the formats are tested beside this, each in its own file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar_cli.options import InputOptions
from sonar_cli.text.documents import CANDIDATES
from sonar_cli.text.inputs import read_texts

HEAD = "From: Mia Lund <mia@example.org>\nTo: ole@example.org\nSubject: Boat\n"
HTML_HEAD = f"{HEAD}MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n"


def _parts(kind: str, *parts: tuple[str, str]) -> str:
    """Return a mail of parts (content type, content)."""
    bodies = "".join(f"--b1\nContent-Type: {type}\n\n{body}\n" for type, body in parts)
    return f'{HEAD}MIME-Version: 1.0\nContent-Type: {kind}; boundary="b1"\n\n{bodies}--b1--\n'


SPLIT: dict[str, tuple[str, list[str]]] = {
    "et al.": (
        "Soon Berg et al. found it. As Dahl et al. (2012) show, it sank. See Moe et al. 1998.",
        [
            "Soon Berg et al. found it.",
            "As Dahl et al. (2012) show, it sank.",
            "See Moe et al. 1998.",
        ],
    ),
    "a small letter after a full stop": (
        "The max. load is two men. Pour 3 tbsp. of milk. Buses go on Wed. and Sat. at noon.",
        [
            "The max. load is two men.",
            "Pour 3 tbsp. of milk.",
            "Buses go on Wed. and Sat. at noon.",
        ],
    ),
    "a number after an abbreviation": (
        "The plan is on p. 4. Use Eq. 2 and Tab. 6. It sank.",
        ["The plan is on p. 4.", "Use Eq. 2 and Tab. 6.", "It sank."],
    ),
    "a citation after the mark": (
        "The lake froze.[7] It thawed again.[8][9] Some doubt it [10]. Boats came back.²³ We left.",
        [
            "The lake froze.[7]",
            "It thawed again.[8][9]",
            "Some doubt it [10].",
            "Boats came back.²³",
            "We left.",
        ],
    ),
    "the ellipsis sign": (
        "The boat drifted… Nobody rowed… “But…” he began.",
        ["The boat drifted…", "Nobody rowed…", "“But…” he began."],
    ),
    "the possessive of an abbreviation": (
        "The U.S.'s oldest boat sank. We wept.",
        ["The U.S.'s oldest boat sank.", "We wept."],
    ),
    "initials without a space": (
        "We saw P.L. Travers in June. So did A.A. Milne.",
        ["We saw P.L. Travers in June.", "So did A.A. Milne."],
    ),
    "a mark inside a sentence": (
        "He asked Yahoo! about boats. They sang Mamma Mia! and rowed.",
        ["He asked Yahoo! about boats.", "They sang Mamma Mia! and rowed."],
    ),
    "an emoji after the mark": (
        "We won the race! 🎉 Come and row. 👋🏽 The lake is calm now.",
        ["We won the race! 🎉", "Come and row. 👋🏽", "The lake is calm now."],
    ),
    "marks of a list": (
        "1.) Lift the oar.\n2.) Dip the oar.\n\nDo so: 1. Lift it. 2. Dip it. 3. Pull it.\n",
        [
            "1.) Lift the oar.",
            "2.) Dip the oar.",
            "Do so: 1. Lift it.",
            "2. Dip it.",
            "3. Pull it.",
        ],
    ),
    "narrow lines": (
        "As the wind blew up that night\nOle took the oars in and\nlay down. It passed.\n",
        ["As the wind blew up that night Ole took the oars in and lay down.", "It passed."],
    ),
    "a line that begins with a number or a letter": (
        "She was born on June\n7. She left in May. The rule of part 2\n(b) forbids it.\n",
        ["She was born on June 7.", "She left in May.", "The rule of part 2 (b) forbids it."],
    ),
    "a short paragraph": (
        "The lake froze.[7]\n\nWe won the race! 🎉\n\nՆավը խորտակվեց։\n\nThe old man rowed home.\n",
        ["The lake froze.[7]", "We won the race! 🎉", "Նավը խորտակվեց։", "The old man rowed home."],
    ),
    "a page's header inside a sentence": (
        "The club met in winter and chose a colour for the\n\nYearbook 1987          44\n\n"
        "\fhull of the boat. It was blue.\n",
        ["The club met in winter and chose a colour for the hull of the boat.", "It was blue."],
    ),
}
FILES: dict[str, tuple[str, str, list[str]]] = {
    "a comment with an empty line": (
        "a.md",
        "Row first.\n\n<!-- one.\n\nunseen two. Hush.\n-->\n\nRest after.\n",
        ["Row first.", "Rest after."],
    ),
    "a paragraph that begins with a tag": (
        "a.md",
        "<i>Beware:</i> it leaks. Bail it.\n\n<!-- x -->\nThis stands after it. It stays.\n",
        ["Beware: it leaks.", "Bail it.", "This stands after it.", "It stays."],
    ),
    "a second paragraph of an item": (
        "a.md",
        "* The first oar.\n\n    It has a crack. Mend it.\n\n* The next oar.\n",
        ["The first oar.", "It has a crack.", "Mend it.", "The next oar."],
    ),
    "a rule on the first line": (
        "a.md",
        "---\n\nHint: the boat leaks. Bail it.\n\n---\n\nThe tale begins.\n",
        ["Hint: the boat leaks.", "Bail it.", "The tale begins."],
    ),
    "a fence that a quotation ends": (
        "a.md",
        "> See this:\n> ```\n> y = 2\n\nThe tale goes on. It ends.\n",
        ["See this:", "The tale goes on.", "It ends."],
    ),
    "a year at a line's beginning": (
        "a.md",
        "She came in\n1923. What a night it was.\n",
        ["She came in 1923.", "What a night it was."],
    ),
    "a lone star": (
        "a.md",
        "Burn all *.log files. The B* tree grows.\n",
        ["Burn all *.log files.", "The B* tree grows."],
    ),
    "brackets in a link": (
        "a.md",
        "Read the [map [old] there](http://y.org/b) now. It helps.\n",
        ["Read the map [old] there now.", "It helps."],
    ),
    "an alert": ("a.md", "> [!TIP]\n> Row slowly. It leaks.\n", ["Row slowly.", "It leaks."]),
    "carriage returns alone": (
        "a.md",
        "# B\r\rThe bow is here.\r\rThe stern is here.\r",
        ["The bow is here.", "The stern is here."],
    ),
    "a reply without marks": (
        "a.eml",
        f"{HEAD}\nI take the oars.\n\nFrom: Ole Vik [ole@example.org]\n"
        "Sent: Monday, 2 April 2012 4:10 p.m.\nTo: Mia Lund\nSubject: Boat\n\nWho rows? Tell me.\n",
        ["I take the oars."],
    ),
    "a forwarded mail": (
        "a.eml",
        f"{HEAD}\n---------- Forwarded message ---------\nFrom: Ole <ole@example.org>\n"
        "Date: Tue, 4 Mar 2025\nSubject: Race\n\nThe race is on. We row at six.\n",
        ["The race is on.", "We row at six."],
    ),
    "headers in another order": (
        "a.eml",
        "Received: by mx.example.net with ESMTP id y2;\n        Tue, 4 Mar 2025 08:00:00 +0100\n"
        f"{HEAD}\nThe boat came in. It was dusk.\n",
        ["The boat came in.", "It was dusk."],
    ),
    "very long headers": (
        "a.eml",
        HEAD
        + "".join(f"X-Seal-{n}: {'Qm9hdA' * 12}\n" for n in range(150))
        + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\nThe jetty=E2=80=99s gone. We swam.\n",
        ["The jetty’s gone.", "We swam."],
    ),
    "seven-bit Japanese": (
        "a.eml",
        f"{HEAD}MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-2022-jp\n"
        "Content-Transfer-Encoding: 7bit\n\n"
        + "船が来た。海は静かだ。\n".encode("iso-2022-jp").decode("ascii"),
        ["船が来た。", "海は静かだ。"],
    ),
    "an empty plain part": (
        "a.eml",
        _parts(
            "multipart/alternative",
            ("text/plain", "\n"),
            ("text/html", "<p>Only this part speaks. Hear it.</p>"),
        ),
        ["Only this part speaks.", "Hear it."],
    ),
    "a list's footer": (
        "a.eml",
        _parts(
            "multipart/mixed",
            ("text/html", "<p>The race is at six. Be there.</p>"),
            ("text/plain", "You are on the list.\nTo leave it write to us.\n"),
        ),
        ["The race is at six.", "Be there."],
    ),
    "a quotation in HTML": (
        "a.eml",
        f'{HTML_HEAD}<div dir="ltr">I take the oars. You steer.</div><div class="gmail_quote">'
        '<div class="gmail_attr">On Tue, 4 Mar 2025 at 9:00, Ole &lt;o@y.org&gt; wrote:<br></div>'
        '<blockquote class="gmail_quote"><p>Who rows? Tell me.</p></blockquote></div>\n',
        ["I take the oars.", "You steer."],
    ),
    "a signed mail": (
        "a.eml",
        f"{HEAD}\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nThe race is on. Trust me.\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabCDefGH\n=wxyz\n-----END PGP SIGNATURE-----\n",
        ["The race is on.", "Trust me."],
    ),
    "a layout table": (
        "a.html",
        "<html><body><table><tr><td><p>The page is one cell. It is odd.</p><p>So it was made.</p>"
        "</td></tr></table></body></html>",
        ["The page is one cell.", "It is odd.", "So it was made."],
    ),
    "a page in a form": (
        "a.html",
        "<html><body><form action=y method=post><p>A form holds it all. Old pages do.</p></form>"
        "</body></html>",
        ["A form holds it all.", "Old pages do."],
    ),
    "a header inside an article": (
        "a.html",
        "<article><header><h1>Boats</h1><p>The lead is short. It floats.</p></header>"
        "<p>The rest follows.</p></article>",
        ["The lead is short.", "It floats.", "The rest follows."],
    ),
    "an empty main": (
        "a.html",
        "<html><body><main> </main><div><p>The tale is here. Hear it.</p></div></body></html>",
        ["The tale is here.", "Hear it."],
    ),
    "half of a character": (
        "a.jsonl",
        '{"text": "Ahoy \\ud83d you. It was dusk."}\n',
        ["Ahoy \ufffd you.", "It was dusk."],
    ),
    "subtitles": (
        "a.srt",
        "1\n00:00:02,000 --> 00:00:04,500\nThe lake was calm\n\n2\n00:00:04,600 --> 00:00:07,000\n"
        "and nobody rowed.\n\n3\n00:00:07,500 --> 00:00:09,000\n<i>Take an oar.</i> Row.\n",
        ["The lake was calm and nobody rowed.", "Take an oar.", "Row."],
    ),
    "reStructuredText": (
        "a.rst",
        "Boats\n=====\n\nThe ``row`` command is slow.\n\n"
        ".. warning::\n\n   Mind the reef. It cuts.\n\n.. code-block:: sh\n\n   row --fast\n",
        ["The row command is slow.", "Mind the reef.", "It cuts."],
    ),
}


def _prose(file: Path) -> list[str]:
    (text,) = read_texts([str(file)], InputOptions())
    return [each.text for each in text.passages() if each.kind in CANDIDATES]


@pytest.mark.parametrize("kind", SPLIT)
def test_plain_text_is_split_where_sentences_end(kind: str, tmp_path: Path) -> None:
    content, expected = SPLIT[kind]
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    assert _prose(tmp_path / "a.txt") == expected


@pytest.mark.parametrize("kind", FILES)
def test_a_document_gives_its_prose_and_nothing_else(kind: str, tmp_path: Path) -> None:
    name, content, expected = FILES[kind]
    (tmp_path / name).write_bytes(content.encode())
    assert _prose(tmp_path / name) == expected


@pytest.mark.parametrize("charset", ["utf-16", "utf-32"])
def test_a_byte_order_mark_says_how_a_text_is_encoded(charset: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("The boat’s oar broke. We drifted.".encode(charset))
    assert _prose(tmp_path / "a.txt") == ["The boat’s oar broke.", "We drifted."]


def test_a_page_and_a_mail_say_how_they_are_encoded(tmp_path: Path) -> None:
    page = '<html><head><meta charset="iso-8859-1"></head><p>The café closed. We left.</p></html>'
    mail = f"{HEAD}Content-Type: text/plain; charset=iso-8859-1\n\nThe café closed. We left.\n"
    for name, content in (("a.html", page), ("a.eml", mail)):
        (tmp_path / name).write_bytes(content.encode("latin-1"))
        assert _prose(tmp_path / name) == ["The café closed.", "We left."]


def test_every_message_of_a_chat_stands_alone(tmp_path: Path) -> None:
    lines = [f"02/05/2024, 18:3{n} - {who}" for n, who in enumerate(("Mia: Hi! Row with me?",
             "Ole: Sure. At six", "Mia: Till then"))]  # fmt: skip
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = " | ".join(_prose(tmp_path / "a.txt"))
    assert "At six | " in found and found.endswith("Till then")
    assert "At six 02/05" not in found
