"""What a terminal gets: nothing that steers it, and no colour where none is wanted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar_cli import render
from sonar_cli.evaluation.report import Column, Report, Table
from sonar_cli.options import Source, Step, Summary, SummarySentence
from sonar_cli.render.progress import console
from sonar_cli.render.visible import as_json, visible, written_out
from sonar_cli.text.sentences import split

# Colour, a title, a link, the clipboard, C1, the order of letters, markup of rich, emoji's names.
HOSTILE = (
    "a\x1b[31m \x1b]0;t\x07 \x1b]8;;http://x\x1b\\ \x1b]52;c;aGk=\x07 \x9b7m \x85 \x7f\x08\r "
    "\u202eb\u2066c \u2028 [red]d[/red] [/] :smile: \udcff \ud800"
)
FILE = "[bold]\x1b[7mx\udce9[/bold].txt"
RAW = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SHOWN = ("a\\x1b[31m", "\\x9b7m", "\\u202eb", "[red]d[/red]", "[/]", ":smile:", "\\xff")
# What rich itself writes: colours, and dimmed and bold letters.
STYLE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """A terminal of 400 columns as a stream, and a function that returns what it was sent."""
    import pty

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.delenv("NO_COLOR", raising=False)
    parent, child = pty.openpty()
    out = open(child, "w", encoding="utf-8", errors=render.REPLACE)  # noqa: SIM115

    def sent() -> str:
        out.write("<end>")  # a terminal passes on what it gets a little later
        out.flush()
        found = b""
        while not found.endswith(b"<end>"):
            found += os.read(parent, 1 << 16)
        return found.decode().removesuffix("<end>").replace("\r\n", "\n")

    yield out, sent
    out.close()
    os.close(parent)


def _continue(out: TextIO) -> None:
    writer = render.writer(out, "text", False, True)
    writer.begin(FILE, split(HOSTILE))
    writer.step(Step(0, HOSTILE, 0.0, 0.0, 0.0))
    writer.finish()


def _summary() -> Summary:
    said = SummarySentence(HOSTILE, (Source(0, 0, 9, 1.0),), "extractive", heading=HOSTILE)
    return Summary((said,), 3, 100)


def _summarize(out: TextIO) -> None:
    render.Summaries(out, "text", headings=True).write(FILE, _summary())


def _report(out: TextIO) -> None:
    columns = [Column("text", "text", left=True)]
    found = [{"text": HOSTILE.replace("\r", "").replace(":smile:", "`:smile:`")}]
    render.print_report(Report([Table("texts", columns, found)], line=FILE), "text", out)


def _lines(out: TextIO) -> None:
    render.show(FILE, HOSTILE, out=out)


@pytest.mark.parametrize("shown", [_continue, _summarize, _report, _lines])
def test_nothing_steers_the_terminal(terminal, shown: Callable[[TextIO], None]) -> None:
    out, sent = terminal
    shown(out)
    text = STYLE.sub("", sent())
    assert not RAW.findall(text) and "\r" not in text
    for each in SHOWN:
        assert each in text, each
    assert "[bold]\\x1b[7mx\\xe9[/bold].txt" in text


def test_json_on_a_terminal_is_the_same_json(terminal) -> None:
    out, sent = terminal
    render.Summaries(out, "jsonl").write(FILE, _summary())
    line = sent()
    assert not RAW.findall(line)
    found = json.loads(line)
    assert found["file"] == "[bold]\x1b[7mx\\xe9[/bold].txt"
    assert found["text"] == HOSTILE.replace("\udcff", "\\xff").replace("\ud800", "\ufffd")


@pytest.mark.parametrize("shown", [_continue, _summarize, _report])
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_without_colour_nothing_is_dimmed_either(
    terminal, monkeypatch, shown: Callable[[TextIO], None], name: str, value: str
) -> None:
    out, sent = terminal
    monkeypatch.setenv(name, value)
    shown(out)
    assert "\x1b" not in sent()


def test_a_prompt_that_is_not_dimmed_is_parted_from_what_follows(terminal, monkeypatch) -> None:
    out, sent = terminal
    for value, expected in (("", "Tom ran. Tom sat.\n"), ("1", "Tom ran.\nTom sat.\n")):
        monkeypatch.setenv("NO_COLOR", value)
        writer = render.writer(out, "text", False, False)
        writer.begin("a", split("Tom ran."))
        writer.step(Step(0, "Tom sat.", 0.0, 0.0, 0.0))
        writer.finish()
        text = sent()
        assert STYLE.sub("", text) == expected and bool(STYLE.search(text)) is not bool(value)


def test_messages_are_clean_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    render.say(f"{FILE}: \n  {HOSTILE}  \n")
    err = capsys.readouterr().err
    assert err.startswith("sonar-llm: [bold]\\x1b[7mx\\xe9[/bold].txt: a\\x1b[31m ")
    assert not RAW.findall(err) and "\r" not in err and err.count("\n") == 1


def test_a_stream_without_a_reader_does_not_end_the_work(monkeypatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        monkeypatch.setattr("sys.stderr", gone)
        render.say("nobody hears this")
        render.say("nor this")


def test_a_bar_takes_no_markup(terminal, monkeypatch) -> None:
    out, sent = terminal
    monkeypatch.setattr("sys.stderr", out)
    with render.bar(2, "[red]reading[/red]", quiet=False) as on_read:
        on_read(1)
    assert "[red]reading[/red]" in sent()
    console(out).print("[red]x[/red] :smile:")
    assert "[red]x[/red] :smile:" in sent()


class _Terminal:
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(st.text(st.characters(codec=None, categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L"])))
def test_whatever_a_text_holds_it_can_be_shown(text: str) -> None:
    assert not RAW.findall(visible(text).replace("\r", "")) and "\r" not in visible(text)
    assert visible(visible(text)) == visible(text)
    visible(text).encode()
    line = as_json({text: text}, _Terminal())  # type: ignore[arg-type]
    line.encode()
    assert not RAW.findall(line) and json.loads(line) == {written_out(text): written_out(text)}
