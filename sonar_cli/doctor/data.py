"""What models and texts need beside packages: NLTK's data, and the models that are here."""

from __future__ import annotations

from collections.abc import Iterator

from sonar_cli.doctor.findings import Finding


def punkt() -> Iterator[Finding]:
    """Find NLTK's data for English, by which the published models' texts were split."""
    from sonar_cli.text.sent_tokenize import GET_DATA, has_data

    if has_data():
        yield Finding("Punkt", "good", "NLTK's data for English (punkt_tab)")
    else:
        reason = "NLTK's data for English (punkt_tab); our own word lists stand in"
        yield Finding("Punkt", "missing", reason, GET_DATA)


def models() -> Iterator[Finding]:
    """Find which of the named models are on this machine."""
    from sonar_cli.hub.listing import known

    here = [each.name for each in known() if each.present]
    found = f"{', '.join(here)}; `sonar-llm models list` shows all"
    yield Finding("models", "good", found, values={"here": here})
