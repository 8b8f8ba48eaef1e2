"""Bytes of every kind become text, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar_cli.errors import InputError, UsageError
from sonar_cli.options import InputOptions
from sonar_cli.text.files import read_text
from sonar_cli.text.inputs import read_texts


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "utf-8-sig"])
def test_byte_order_marks(codec: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("Déjà vu. 船".encode(codec))
    assert read_text(str(file)).lstrip("\ufeff") == "Déjà vu. 船"


@pytest.mark.parametrize("mark, codec", [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
                                         (b"\0\0\xfe\xff", "utf-32-be")])  # fmt: skip
def test_both_byte_orders(mark: bytes, codec: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(mark + "Déjà.".encode(codec))
    assert read_text(str(file)) == "Déjà."


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="iso-8859-1">',
        "<meta http-equiv='Content-Type' content='text/html; charset=ISO-8859-1'>",
        '<?xml version="1.0" encoding="windows-1252"?><html>',
    ],
)
def test_what_a_page_declares(head: str, tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_bytes(f"{head}<p>Déjà “vu”.</p>".encode("cp1252"))
    assert "Déjà “vu”." in read_text(str(file))
    # UTF-8 is known by its look, whatever is declared.
    file.write_bytes(f"{head}<p>Déjà.</p>".encode())
    assert "Déjà." in read_text(str(file))


def test_a_declaration_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_bytes(b"<meta charset=euc-jp><p>\xff</p>")
    with pytest.raises(InputError, match=r"is not euc_jp: byte 0xff at offset 24; .* --encoding"):
        read_text(str(file))
    file.write_bytes(b"<meta charset=klingon><p>\xff</p>")
    with pytest.raises(InputError, match=r"is not UTF-8: byte 0xff at offset 25; .* --encoding"):
        read_text(str(file))


def test_encoding_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("Лодка.".encode("koi8-r"))
    assert read_text(str(file), "koi8-r") == "Лодка."
    (text,) = read_texts([str(file)], InputOptions(encoding="KOI8-R"))
    assert text.content == "Лодка."
    with pytest.raises(InputError, match="is not ascii: byte 0xec at offset 0"):
        read_text(str(file), "ascii")


@pytest.mark.parametrize("name", ["klingon", "rot13", "", "a\0b"])
def test_an_encoding_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="there is no character set"):
        InputOptions(encoding=name)


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"text": "Hi \ud83d there. Yes \U0001f600."}))
    (text,) = read_texts([str(file)], InputOptions())
    assert [each.text for each in text.passages()] == ["Hi \ufffd there.", "Yes \U0001f600."]
    assert "\ud83d" not in text.content
