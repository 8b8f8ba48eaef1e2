"""Any text: nothing of it is lost, no command line breaks on it, and what comes out is valid."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sonar_cli.cli import run
from sonar_cli.hub.catalogue import EMBEDDED
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.text.sentences import collapse, split, stand_in

# Signs at which sentences, markup and character sets are told apart.
_SIGNS = [
    *" \n\r\t.!?…。\"'“”’()[]{}<>#*_`~|-:;&\\/@$%^012aBé字א\u0301\u200b\u202e\u2028\0\x1b\x85\ufeff"
]
_WORDS = [
    "One day Lily found a kite.",
    "Dr. Smith",
    "e.g.",
    "http://a.b",
    "<p>",
    "</div>",
    "```",
    "\n\n",
]
_TEXT = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(_SIGNS), max_size=80).map("".join),
    st.lists(st.sampled_from([*_WORDS, *_SIGNS]), max_size=20).map(" ".join),
)
# Half a pair stands for no character, and no file in UTF-8 can hold it: JSON alone can name one.
_WITH_HALVES = st.one_of(_TEXT, st.text(st.characters(categories=["Cs", "L"]), max_size=20))
_LANGUAGES = st.sampled_from(
    ["eng_Latn", "deu_Latn", "zho_Hans", "tha_Thai", "hin_Deva", "arb_Arab"]
)
_ENDINGS = st.sampled_from(
    [".txt", ".md", ".html", ".eml", ".srt", ".vtt", ".rst", ".tex", ".org", ".adoc"]
)

Check = Callable[..., None]


def _try(examples: int, check: Check, **given_by: st.SearchStrategy) -> None:
    how = settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    how(given(**given_by)(check))()


def test_splitting_loses_nothing(examples: int, seen: Counter[str]) -> None:
    def check(text: str, lang: str) -> None:
        found = split(text, lang=lang)
        seen["in several sentences" if len(found) > 1 else "in one sentence or none"] += 1
        ends = [0, *(each.end for each in found)]
        gaps = [text[end : each.start] for end, each in zip(ends, found, strict=False)]
        assert not stand_in("".join([*gaps, text[ends[-1] :]])).strip()
        assert all(end <= each.start < each.end for end, each in zip(ends, found, strict=False))
        whole = stand_in(text)
        assert all(each.text == collapse(whole[each.start : each.end]) for each in found)

    _try(examples, check, text=_TEXT, lang=_LANGUAGES)


def test_tokenizing_gives_the_text_back(examples: int, seen: Counter[str]) -> None:
    tokenizer = Tokenizer.load(EMBEDDED / "tokenizer")

    def check(text: str) -> None:
        pieces = tokenizer.pieces(text)
        written = tokenizer.decode(pieces)
        assert tokenizer.written(text) == written
        assert tokenizer.decode(tokenizer.pieces(written)) == written
        plain = " ".join(text.split())
        # Of some marks the embedded model writes another, such as a dash for two hyphens.
        if re.fullmatch(r"(\w+[.,!?]? ?)*", plain, re.ASCII):
            assert written == plain
            seen["to the letter"] += 1
        else:
            seen["normalized"] += 1

    _try(examples, check, text=_TEXT)


@pytest.mark.parametrize("command", ["continue", "summarize"])
def test_any_file(
    command: str,
    examples: int,
    seen: Counter[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(data: str | bytes, ending: str) -> None:
        file = tmp_path / f"text{ending}"
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        seen[_outcome(command, file, capsys)] += 1

    _try(examples, check, data=st.one_of(_TEXT, st.binary(max_size=80)), ending=_ENDINGS)


@pytest.mark.parametrize("command", ["continue", "summarize"])
def test_any_json_lines(
    command: str,
    examples: int,
    seen: Counter[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(text: str) -> None:
        file = tmp_path / "texts.jsonl"
        file.write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
        seen[_outcome(command, file, capsys)] += 1

    _try(examples, example(text="\ud800 A cat.")(check), text=_WITH_HALVES)


def _outcome(command: str, file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command on a file, see that it keeps the contract, and return what became of it."""
    options = ["-n", "1", "--format", "jsonl", "--threads", "1"]
    options += ["--method", "extractive", "--no-cache"] if command == "summarize" else []
    status = run([command, str(file), *options])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert status in (0, 1), err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", err), err
    assert not out or out.endswith("\n")
    lines = out.encode().splitlines()  # bytes end their lines with \n alone
    records = [json.loads(line, parse_constant=_no_number) for line in lines]
    # The record of a text that ends has no sentence.
    assert all(isinstance(each["text"], str) or each["stop_reason"] for each in records)
    if status:
        assert not records and err.count("\n") == 1
        return "refused in one line"
    return "done" if records else "done, nothing to say"


def _no_number(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")
