"""Subtitles and chat logs: what is said in them."""

from __future__ import annotations

import pytest

from sonar_cli.text.documents import detect
from tests.text.reading import prose, sources

SRT = """\
1
00:00:02,000 --> 00:00:04,000
The boat left early

2
00:00:04,100 --> 00:00:06,000
and <b>never</b> came back.

3
00:00:07,000 --> 00:00:08,000
{\\an8}- Who saw it?
- Nobody.
4
00:00:09,000 --> 00:00:10,000
1984
"""
VTT = """\
WEBVTT - a film

STYLE
::cue { color: red }

NOTE
It was translated. Twice.

first
00:02.000 --> 00:04.000 align:start
<v Eva>The boat
left early.

00:05.000 --> 00:06.000
It never came back.
"""


def test_sentences_go_on_from_cue_to_cue() -> None:
    said = ["The boat left early and never came back.", "- Who saw it?", "- Nobody.", "1984"]
    assert prose(SRT, "subtitles") == said
    assert prose(SRT.replace("\n", "\r\n"), "subtitles") == said
    assert sources(SRT, "subtitles")[0].startswith("The boat left early\n\n2\n00:00:04,100 -->")
    assert sources(SRT, "subtitles")[0].endswith("and <b>never</b> came back.")


def test_web_subtitles() -> None:
    assert prose(VTT, "subtitles") == ["The boat left early.", "It never came back."]


@pytest.mark.parametrize("text", [SRT, VTT, "\ufeff" + SRT])
def test_subtitles_are_told_by_their_look(text: str) -> None:
    assert detect(text) == "subtitles"
    assert detect("x", "film.srt") == detect("x", "film.VTT") == "subtitles"
    assert detect("At 00:00:02,000 --> it began.") == "text"


@pytest.mark.parametrize(
    "stamps",
    [
        ["03/05/2021, 10:15 - Eva: ", "03/05/2021, 10:16 - Tim Roe: "],
        ["[03.05.21, 10:15:01] Eva: ", "[03.05.21, 10:16:44] Tim: "],
        ["5/3/21, 10:15\u202fAM - Eva: ", "5/3/21, 10:16\u202fPM - Tim: "],
        ["[10:15] <eva> ", "[10:16] <tim> "],
        ["2021-05-03 10:15 Eva: ", "2021-05-03 10:16 Tim: "],
    ],
)
def test_a_message_begins_a_sentence(stamps: list[str]) -> None:
    first, second = stamps
    text = f"{first}Ready? In ten minutes\n{second}I come\n{first}Good\nSee you\n"
    assert detect(text) == "chat"
    found = prose(text.replace("\u202f", " "), None)
    first, second = first.replace("\u202f", " "), second.replace("\u202f", " ")
    assert found[:3] == [f"{first}Ready?", "In ten minutes", f"{second}I come"]
    assert " ".join(found[3:]).endswith("Good See you")


def test_a_text_with_times_is_no_chat() -> None:
    assert detect("10:15 Eva: Ready?\nThat is how it began. We left\nat once, and then\n") == "text"
