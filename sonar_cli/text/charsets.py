"""Character sets: bytes become text by their byte order mark, as UTF-8 or as they declare."""

from __future__ import annotations

import codecs
import re

from sonar_cli.errors import InputError
from sonar_cli.text.formats import detect

# The longer ones come first: UTF-32's mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What browsers and mail programs read under these names: a larger set that holds the named one.
_LARGER = {
    **dict.fromkeys(("ascii", "iso8859-1", "latin-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **{"shift_jis": "cp932", "euc_kr": "cp949", "iso8859-9": "cp1254"},
}
_DECLARED = re.compile(
    rb"<meta\b[^>]*\bcharset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml\b[^>]*\bencoding\s*=\s*[\"']([\w.:-]+)",
    re.I,
)
# Bytes at the beginning of a page in which its declaration is looked for.
_HEAD = 8_000
SURROGATE = re.compile("[\ud800-\udfff]")


def codec_of(name: str) -> str | None:
    """Return Python's codec for a declared character set, or None if there is none.

    >>> codec_of("ISO-8859-1"), codec_of("iso-2022-jp"), codec_of("klingon"), codec_of("rot13")
    ('cp1252', 'iso2022_jp', None, None)
    """
    try:
        found = codecs.lookup(name.strip() or "?").name
        b" ".decode(found, "ignore")
    except (LookupError, ValueError):
        return None
    return _LARGER.get(found, found)


def decode(raw: bytes, shown: str, name: str = "", encoding: str | None = None) -> str:
    """Return the text of a file, named `name` or "" and shown as `shown` in messages.

    A byte order mark decides, then `encoding` where it is given, then UTF-8, then what an HTML page
    declares. Bytes of a mail that are not UTF-8 become lone surrogates, which `mime` decodes part
    by part. UTF-8's own byte order mark is kept. Raises InputError that names the byte offset for
    what is not a text, or not one of the character set.
    """
    for mark, codec in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return _strictly(raw, codec, shown)
    if encoding:
        return _strictly(raw, encoding, shown)
    if (zero := raw.find(b"\0")) >= 0:
        raise InputError(f"{shown} is not a text: there is a NUL byte at offset {zero}")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    format = detect(raw[:_HEAD].decode("latin-1"), name)
    if format == "mail":
        return raw.decode(errors="surrogateescape")
    if format == "html" and (declared := _declared(raw)):
        return _strictly(raw, declared, shown)
    return _strictly(raw, "utf-8", shown)


def _declared(raw: bytes) -> str | None:
    found = _DECLARED.search(raw, 0, _HEAD)
    return codec_of((found[1] or found[2]).decode()) if found else None


def _strictly(raw: bytes, codec: str, shown: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        name = codec.upper() if codec.startswith("utf") else codec
        raise InputError(
            f"{shown} is not {name}: byte 0x{raw[error.start]:02x} at offset {error.start}; name "
            "its character set with --encoding"
        ) from None


def even(text: str) -> str:
    """Return a text of the same length whose lines end in line feeds and that can be encoded.

    >>> even("One.\\r\\nTwo.\\rThree \\ud83d.")
    'One. \\nTwo.\\nThree \ufffd.'
    """
    if "\r" in text:
        text = text.replace("\r\n", " \n").replace("\r", "\n")
    return SURROGATE.sub("\ufffd", text)
