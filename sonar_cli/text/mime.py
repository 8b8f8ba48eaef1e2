"""The readable parts of a mail in MIME, decoded. The standard library's `email` parses it."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from sonar_cli.errors import InputError
from sonar_cli.text import html
from sonar_cli.text.charsets import codec_of

_ENCODED = re.compile(
    r"^Content-(?:Type:\s*(?:multipart/|text/html|message/|[^\n]*(?:\n[ \t][^\n]*)*?charset\s*=\s*"
    r"\"?(?:iso-2022-|utf-7|unicode-1-1-utf-7|hz-))|Transfer-Encoding:)",
    re.I | re.M,
)
# Bytes that are not UTF-8 are these in a text, as `charsets.decode` leaves them.
_BYTES = re.compile("[\udc80-\udcff]")
_OTHER_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# What a mailing list's program puts below a mail, in a part of its own.
_FOOTER = re.compile(r"\s*_{5,}|.{0,500}\b(?:unsubscribe|mailing list)\b", re.I | re.S)


@dataclass(frozen=True)
class Part:
    """A decoded text of a mail. A footer is what a mailing list adds to every mail."""

    text: str
    is_html: bool = False
    is_footer: bool = False


def is_encoded(text: str, head: str) -> bool:
    """Return whether a mail with this header must be decoded to be read."""
    return bool(_ENCODED.search(head) or _BYTES.search(text))


def texts(text: str) -> list[Part]:
    """Return the parts of a mail that are to be read, in order.

    Of alternatives it is the plain text, or the HTML if the plain text is empty. Attachments are
    read only if there is nothing else. Raises InputError for a mail without any text.
    """
    raw = _OTHER_SURROGATE.sub("\ufffd", text).encode(errors="surrogateescape")
    try:
        message = email.message_from_bytes(raw)
        found = [each for each in _parts(message) if _has_words(each)]
        # A second look at all there is, attachments and attached mails among it.
        found = found or [each for each in map(_part, message.walk()) if each and _has_words(each)]
    except RecursionError:
        raise InputError(
            "the mail has parts in parts, too deep to be read; save the part to be read as a file "
            "of its own"
        ) from None
    if not found:
        raise InputError("the mail holds no text; save the part to be read as a file of its own")
    first = found[0]
    return [first, *(Part(each.text, each.is_html, _is_footer(each, first)) for each in found[1:])]


def _is_footer(part: Part, first: Part) -> bool:
    return not part.is_html and (first.is_html or bool(_FOOTER.match(part.text)))


def _has_words(part: Part) -> bool:
    words = re.search(r"[^\W_]", part.text)
    return bool(words) and (not part.is_html or any(html.blocks(part.text)))


def _parts(message: Message) -> Iterator[Part]:
    if message.get_content_disposition() == "attachment":
        return
    kind = message.get_content_type()
    if kind == "message/rfc822" or not message.is_multipart():
        if part := _part(message):
            yield part
        return
    inner = [list(_parts(each)) for each in message.get_payload() if isinstance(each, Message)]
    if kind == "multipart/alternative":
        readable = [each for each in inner if any(map(_has_words, each))]
        plain = [each for each in readable if not any(part.is_html for part in each)]
        inner = (plain or readable)[:1]
    for each in inner:
        yield from each


def _part(message: Message) -> Part | None:
    """Return a part that is text by itself, or None."""
    kind = message.get_content_type()
    # A mail that is said to have parts and has none is read as it is.
    named = kind in ("text/plain", "text/html") or kind.startswith("multipart/")
    if message.is_multipart() or not named:
        return None
    return Part(_decoded(message), kind == "text/html")


def _decoded(message: Message) -> str:
    """Return a part's text; UTF-8 is known by its look, whatever character set is declared.

    Only where the text was not sent as it is (in base64, say), the declared set comes first.
    """
    payload = message.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    declared = codec_of(message.get_content_charset() or "")
    sent = str(message.get("Content-Transfer-Encoding") or "").strip().lower()
    if declared and (raw.isascii() or sent in ("base64", "quoted-printable")):
        return raw.decode(declared, errors="replace")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if declared:
            return raw.decode(declared, errors="replace")
        named = message.get_content_charset()
        what = f"of an unknown character set, {named}" if named else "of no declared character set"
        raise InputError(
            f"the mail's text is {what}: byte 0x{raw[error.start]:02x} at offset {error.start} of "
            "it is not UTF-8; name the character set with --encoding"
        ) from None
