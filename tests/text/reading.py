"""What the tests of the formats ask of a text."""

from __future__ import annotations

from sonar_cli.text.documents import CANDIDATES, Format, passages


def found(text: str, format: Format | None) -> list[tuple[str, str]]:
    """Return (kind, text) of each sentence."""
    return [(each.kind, each.text) for each in passages(text, format)]


def prose(text: str, format: Format | None) -> list[str]:
    """Return the sentences that a summary may choose."""
    return [each.text for each in passages(text, format) if each.kind in CANDIDATES]


def sources(text: str, format: Format | None) -> list[str]:
    """Return what stands in the text where these sentences are."""
    return [text[e.start : e.end] for e in passages(text, format) if e.kind in CANDIDATES]
