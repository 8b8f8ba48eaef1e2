"""The header of a mail, and the headers of earlier mails that programs copy into its text."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FIELD = re.compile(r"([!-9;-~]+):(?!//)")
_KNOWN = frozenset(
    "from to cc bcc subject date sent reply-to message-id return-path received sender".split()
    + "mime-version content-type content-transfer-encoding delivered-to dkim-signature".split()
    + "in-reply-to references list-id x-mailer user-agent authentication-results".split()
)
# The labels that mail programs write above an earlier mail, in several languages.
_FROM = r"From|Von|De|Da|Van|Fr\xe5n|Fra|Od|\u041e\u0442|\u5dee\u51fa\u4eba|\u53d1\u4ef6\u4eba"
_OTHERS = (
    r"Sent|To|Cc|Bcc|Subject|Date|Reply-To|Importance|Gesendet|An|Datum|Betreff|Envoy\xe9"
    r"|\xc0|Objet|Enviado(?: el)?|Para|Asunto|Fecha|Inviato|A|Oggetto|Data|Verzonden|Aan|Onderwerp"
    r"|Enviada em|Assunto|Skickat|Till|\xc4mne|Sendt|Til|Emne|Wys\u0142ano|Do|Temat|DW"
    r"|\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e|\u041a\u043e\u043c\u0443"
    r"|\u0422\u0435\u043c\u0430|\u0414\u0430\u0442\u0430|\u65e5\u6642|\u5b9b\u5148|\u4ef6\u540d"
    r"|\u53d1\u9001\u65f6\u95f4|\u6536\u4ef6\u4eba|\u4e3b\u9898"
)
_FIRST_LABEL = re.compile(rf"[ \t*_]*(?:{_FROM})[*_\xa0 ]*[:\uff1a]")
_LABEL = re.compile(rf"[ \t*_]*(?:{_FROM}|{_OTHERS})[*_\xa0 ]*[:\uff1a]", re.I)
# Lines of a copied header that are looked at, and how many of them must be labelled.
_LINES = 12
_LABELS = 3
QUOTED = re.compile(r"[ \t]*>")
# An attribution line: "On Monday, 3 March, Ann <ann@host> wrote:". The first alternative spans up
# to three lines, and only a quotation, an empty line or the end may follow. The second is any line
# with "wrote:" that a quotation follows.
_WROTE = (
    r"\b(?:wrote|schrieb|escribi\xf3|a \xe9crit|ha scritto|escreveu|schreef)\b"
    r"[^\n]{0,80}:[ \t\r]*"
)
ATTRIBUTION = re.compile(
    r"[ \t]*(?:(?:On|Am|Le|El|Il|Em|Op)\b(?=[^\n]*\d)"
    rf"(?:[^\n]{{0,200}}\n(?![ \t\r]*[>\n])){{0,2}}?[^\n]{{0,200}}?{_WROTE}"
    r"(?:\n(?=[ \t]*[>\r\n]|\Z)|\Z)"
    rf"|[^\n]{{0,200}}?{_WROTE}\n(?:[ \t\r]*\n)?(?=[ \t]*>))"
)


def is_mail(sample: str) -> bool:
    """Return whether a text begins as a mail does: with a header, or as a reply with quotations.

    >>> is_mail("From: a@example.org\\nTo: b@example.org\\n\\nHi."), is_mail("To: be or not to be")
    (True, False)
    """
    if len(_names(sample, 0)[0] & _KNOWN) >= 2:
        return True
    lines = sample.splitlines()
    starts = [0, *(each.end() for each in re.finditer("\n", sample))]
    return sum(bool(QUOTED.match(line)) for line in lines) >= 2 and any(
        ATTRIBUTION.match(sample, at) for at in starts
    )


def header_end(text: str, start: int = 0) -> int:
    """Return where the header ends that begins at `start`; `start` if there is none."""
    names, end = _names(text, start)
    return end if names & _KNOWN else start


def _names(text: str, start: int) -> tuple[set[str], int]:
    """Return the names of a header's fields in small letters, and where the header ends."""
    names: set[str] = set()
    end = start
    for line in _LINE.finditer(text, start):
        found = _FIELD.match(line[0])
        if found:
            names.add(found[1].lower())
        elif not line[0].strip():
            return names, line.end() if names else start
        elif not (names and line[0][0] in " \t") and not (
            line.start() == start and line[0].startswith("From ")
        ):
            # An mbox file begins with "From " and the sender; any other line ends the header.
            return names, end
        end = line.end()
    return names, end


def copied_end(text: str, start: int, end: int) -> int:
    """Return where the copied header of an earlier mail ends that begins at `start`; or `start`.

    >>> text = "From: Ann\\nSent: Friday\\nTo: Bob\\nSubject: Tea\\n\\nCome at four."
    >>> text[copied_end(text, 0, len(text)):]
    'Come at four.'
    """
    if not _FIRST_LABEL.match(text, start, end):
        return start
    labelled = 0
    at = start
    for number, line in enumerate(_LINE.finditer(text, start, end), start=1):
        if not line[0].strip() or number > _LINES:
            at = line.end() if not line[0].strip() else line.start()
            break
        labelled += bool(_LABEL.match(line[0]))
        if labelled * 2 < number:
            return start
        at = line.end()
    return at if labelled >= _LABELS else start


def skip_empty(text: str, start: int, end: int) -> int:
    """Return the beginning of the next line that is not empty."""
    for line in _LINE.finditer(text, start, end):
        if line[0].strip():
            return line.start()
    return end


def lines(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the lines of text[start:end], with their line ends."""
    return _LINE.finditer(text, start, end)
