"""Mail: what its writer wrote, in whatever form it was sent."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from sonar_cli.errors import InputError
from sonar_cli.text.files import read_text
from tests.text.reading import found, prose, sources

HEAD = "From: Eva <eva@example.org>\nTo: Tim <tim@example.org>\nSubject: Boat\n"
COPIED = "From: Tim [tim@example.org]\nSent: Monday, 3 May 2021\nTo: Eva\nSubject: Boat\n\n"
OLD = "Is the boat ready? Tell me.\n"


def _multipart(kind: str, *parts: str) -> str:
    body = "".join(f"--=b\nContent-Type: {each}\n" for each in parts)
    return (
        f'{HEAD}MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="=b"\n\n{body}--=b--\n'
    )


@pytest.mark.parametrize(
    "earlier",
    [
        COPIED + OLD,
        "________________________________\n" + COPIED + OLD,
        "-----Original Message-----\n" + COPIED + OLD,
        "*From:* Tim\n*Sent:* Monday\n*To:* Eva\n*Subject:* Boat\n\n" + OLD,
        "Von: Tim\nGesendet: Montag\nAn: Eva\nBetreff: Boot\n\n" + OLD,
        "De : Tim\nEnvoyé : lundi\nÀ : Eva\nObjet : Bateau\n\n" + OLD,
    ],
)
def test_an_earlier_mail_below_a_reply_is_quoted(earlier: str) -> None:
    text = f"{HEAD}\nIt is ready. Come soon.\n\n{earlier}"
    assert prose(text, "mail") == ["It is ready.", "Come soon."]
    assert ("quoted", "Tell me.") in found(text, "mail")


@pytest.mark.parametrize(
    "forwarded",
    [
        "---------- Forwarded message ---------\nFrom: Tim <t@x.org>\nDate: Monday\n\n" + OLD,
        "Begin forwarded message:\n\n" + COPIED + OLD,
        COPIED + OLD,
    ],
)
def test_a_forwarded_mail_is_read(forwarded: str) -> None:
    assert prose(f"{HEAD}\n{forwarded}", "mail") == ["Is the boat ready?", "Tell me."]


def test_a_forwarded_mail_is_read_below_a_note_and_a_signature() -> None:
    marked = f"{HEAD}\nPlease read.\n\n-- \nEva\n\n----- Forwarded message -----\n{COPIED}{OLD}"
    assert prose(marked, "mail") == ["Please read.", "Is the boat ready?", "Tell me."]
    told = f"{HEAD.replace('Boat', 'FW: Boat')}\nPlease read.\n\n{COPIED}{OLD}"
    assert prose(told, "mail") == ["Please read.", "Is the boat ready?", "Tell me."]


def test_quotations_are_read_where_there_is_nothing_else() -> None:
    assert prose(f"{HEAD}\n> It is late. Go.\n", "mail") == ["It is late.", "Go."]


def test_headers_of_any_name_and_length() -> None:
    head = "Received: by a.example.org;\n\tMon, 3 May 2021\nX-Any: y\n" + HEAD
    text = head + "\nIt is ready.\n"
    assert prose(text, None) == sources(text, None) == ["It is ready."]
    seals = "".join(f"X-Seal-{count}: {'ab' * 40}\n" for count in range(200))
    text = f"{HEAD}{seals}Content-Transfer-Encoding: quoted-printable\n\nD=C3=A9j=C3=A0 vu.\n"
    assert prose(text, None) == ["Déjà vu."]


def test_a_text_with_a_colon_is_no_header() -> None:
    text = "Remember: the boat leaks. Mend it.\n"
    assert prose(text, "mail") == ["Remember: the boat leaks.", "Mend it."]


@pytest.mark.parametrize(
    ("charset", "words"),
    [("iso-2022-jp", "船は出た。"), ("hz-gb-2312", "船走了。"), ("utf-7", "Ça va.")],
)
def test_seven_bits(charset: str, words: str) -> None:
    body = words.encode(charset.replace("hz-gb-2312", "hz")).decode("ascii")
    assert prose(f"{HEAD}Content-Type: text/plain; charset={charset}\n\n{body}\n", "mail") == [
        words
    ]


@pytest.mark.parametrize(
    ("charset", "words"), [("iso-8859-1", "Déjà “vu”."), ("koi8-r", "Лодка ушла."), ("", "Déjà.")]
)
def test_eight_bits(charset: str, words: str, tmp_path: Path) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n"
    codec = charset.replace("iso-8859-1", "cp1252") or "utf-8"
    file = tmp_path / "a.eml"
    file.write_bytes((HEAD + (kind if charset else "") + "\n").encode() + words.encode(codec))
    assert prose(read_text(str(file)), "mail") == [words]


def test_eight_bits_of_no_declared_set(tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(HEAD.encode() + b"\nD\xe9j\xe0.\n")
    with pytest.raises(InputError, match=r"byte 0xe9 at offset 1 .* --encoding"):
        prose(read_text(str(file)), "mail")
    assert prose(read_text(str(file), "latin-1"), "mail") == ["Déjà."]


def test_parts() -> None:
    page = "text/html; charset=utf-8\n\n<p>The page is read. Yes.</p>\n"
    read = ["The page is read.", "Yes."]
    empty = "text/plain\n\n \n\n"
    assert prose(_multipart("alternative", empty, page), "mail") == read
    assert prose(_multipart("alternative", "text/plain\n\nPlain it is.\n", page), "mail") == [
        "Plain it is."
    ]
    footer = "text/plain\n\nTo leave the list, write to us.\n"
    assert prose(_multipart("mixed", page, footer), "mail") == read
    footer = "text/plain\n\n_________\nThe list. Unsubscribe there.\n"
    assert prose(_multipart("mixed", "text/plain\n\nOne.\n", footer), "mail") == ["One."]
    two = _multipart("mixed", "text/plain\n\nOne.\n", "image/png\n\n\n", "text/plain\n\nTwo.\n")
    assert prose(two, "mail") == ["One.", "Two."]
    attached = 'text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nAttached.\n'
    assert prose(_multipart("mixed", "text/plain\n\nOne.\n", attached), "mail") == ["One."]
    assert prose(_multipart("mixed", attached), "mail") == ["Attached."]
    whole = f"message/rfc822\n\n{HEAD}\nIt is in here.\n"
    assert prose(_multipart("mixed", whole), "mail") == ["It is in here."]


def test_base64() -> None:
    body = b64encode("Déjà vu. Yes.".encode()).decode()
    kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"
    assert prose(f"{HEAD}{kind}\n{body}\n", "mail") == ["Déjà vu.", "Yes."]


@pytest.mark.parametrize(
    "earlier",
    [
        '<div class="gmail_quote"><div class="gmail_attr">On Mon, Tim wrote:</div>'
        "<blockquote>Is it ready?</blockquote></div>",
        '<div>On 3 May 2021, Tim wrote:</div><blockquote type="cite">Is it ready?</blockquote>',
        "<p>On 3 May 2021, Tim wrote:</p><blockquote>Is it ready?</blockquote>",
        '<div class="moz-cite-prefix">Am 3. Mai schrieb Tim:</div>'
        '<blockquote type="cite">Is it ready?</blockquote>',
        "<div><p><b>From:</b> Tim<br><b>Sent:</b> Monday<br><b>To:</b> Eva<br>"
        "<b>Subject:</b> Boat</p></div><p>Is it ready?</p>",
    ],
)
def test_earlier_mails_in_html(earlier: str) -> None:
    text = f"{HEAD}Content-Type: text/html\n\n<p>It is ready.</p>{earlier}"
    assert prose(text, "mail") == ["It is ready."]
    assert ("quoted", "Is it ready?") in found(text, "mail")


def test_a_forwarded_mail_in_html() -> None:
    text = (
        f'{HEAD}Content-Type: text/html\n\n<div class="gmail_quote"><div class="gmail_attr">'
        "---------- Forwarded message ---------<br>From: Tim<br>Date: Monday<br>Subject: Boat<br>"
        "To: Eva</div><p>Is it ready?</p></div><div class=gmail_signature>Eva</div>"
    )
    assert prose(text, "mail") == ["Is it ready?"]


def test_signatures_of_pgp() -> None:
    text = (
        f"{HEAD}\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nIt is ready. Come.\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabcd\n=ef\n-----END PGP SIGNATURE-----\nAnd bye.\n"
    )
    assert prose(text, "mail") == ["It is ready.", "Come.", "And bye."]


def test_a_mail_of_parts_without_parts() -> None:
    text = f"{HEAD}Content-Type: multipart/mixed\n\nIt is ready. Come.\n"
    assert prose(text, "mail") == ["It is ready.", "Come."]


def test_parts_too_deep() -> None:
    head = "Content-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n"
    text = "From: a\nTo: b\n" + "".join(map(head.format, range(1_500))) + "\nHello.\n"
    with pytest.raises(InputError, match="too deep to be read; save the part"):
        prose(text, "mail")
