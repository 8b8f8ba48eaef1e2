"""Summaries of real documents, held against references."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sonar_cli.cli import run as command
from sonar_cli.errors import InputError
from sonar_cli.evaluation import documents
from sonar_cli.evaluation.documents import Referenced
from sonar_cli.hub.resolve import resolve

SENTENCES = ["The dog ran home.", "It was a sunny day.", "A cat slept on the wall."]


def _lead(texts: Sequence[Sequence[str]], counts: Sequence[int]) -> Iterator[Sequence[str]]:
    return (text[:count] for text, count in zip(texts, counts, strict=True))


def _write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_reference_that_fits_best_counts() -> None:
    document = Referenced(tuple(SENTENCES), ("Nothing of it.", "The dog ran home."), 1)
    other = Referenced(tuple(SENTENCES), ("A dog home.",), 1)
    report = documents.run({"lead": _lead}, {"own": [document], "both": [document, other]})
    own, both = (table.records[0] for table in report.tables)
    assert own["rouge1"] == own["rouge2"] == own["rougeL"] == 1.0
    # "dog" and "home" of 4 and of 3 words; no pair of words.
    assert both["rouge1"] == pytest.approx((1 + 4 / 7) / 2) and both["rouge2"] == 0.5
    assert (own["documents"], both["documents"], both["set"]) == (1, 2, "both")


def test_at_equal_words_a_longer_summary_is_cut() -> None:
    told = ("A very long sentence about a big old dog that ran all the way home.", *SENTENCES)
    document = Referenced(told, ("A very long sentence about a dog.", "A very long one."), 2)
    (table,) = documents.run({"lead": _lead}, {"own": [document]}).tables
    # Six words (of 7 and 4, rounded) are those of the reference but the last.
    assert table.records[0]["rouge1_words"] == pytest.approx(2 * 6 / (6 + 7))
    assert table.records[0]["rouge1"] < table.records[0]["rouge1_words"]


def test_a_short_summary_may_have_more_sentences_at_equal_words() -> None:
    document = Referenced(tuple(SENTENCES), (" ".join(SENTENCES),), 1)
    (table,) = documents.run({"lead": _lead}, {"own": [document]}).tables
    assert table.records[0]["rougeL_words"] == 1.0 > table.records[0]["rougeL"]


def test_intervals_hold_the_mean_and_narrow_where_documents_agree() -> None:
    kinds = {"dog": ("The dog ran home.",), "cat": ("A cat slept on the wall.",)}
    same, other = (Referenced(tuple(SENTENCES), kinds[name], 1) for name in ("dog", "cat"))
    one, two = documents.run(
        {"lead": _lead}, {"alike": [same] * 8, "mixed": [same, other] * 4}
    ).tables
    alike, mixed = one.records[0], two.records[0]
    assert alike["rouge2_low"] == alike["rouge2"] == alike["rouge2_high"] == 1.0
    assert 0 < mixed["rouge2_low"] < mixed["rouge2"] == 0.5 < mixed["rouge2_high"] < 1


def test_sentences_or_text(tmp_path: Path) -> None:
    row = {"summaries": ["A dog."], "count": 1}
    path = _write(
        tmp_path / "a.jsonl", {"text": " ".join(SENTENCES), **row}, {"sentences": SENTENCES, **row}
    )
    first, second = documents.read(path)
    assert first == second == Referenced(tuple(SENTENCES), ("A dog.",), 1)


@pytest.mark.parametrize("row", [{"summaries": ["A."], "count": 1}, {"text": "A."}, [1], "text"])
def test_a_line_that_is_none(tmp_path: Path, row: object) -> None:
    path = _write(tmp_path / "a.jsonl", {"text": "A.", "summaries": ["A."], "count": 1}, row)
    with pytest.raises(InputError, match=r"a\.jsonl:2: no object with"):
        documents.read(path)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [{"sentences": SENTENCES, "summaries": ["The dog ran home."], "count": 1}] * 2
    path = _write(tmp_path / "dogs.jsonl", *rows)
    order = ["evaluate", "summaries", "--threads", "1", "--format", "json", "--texts"]
    assert command([*order, path]) == 0
    found = json.loads(capsys.readouterr().out)["documents"]
    assert {each["set"] for each in found} == {"dogs"}
    by_name = {each["system"]: each for each in found}
    assert {"lead-n", "LexRank (sumy)", "extractive"} <= set(by_name) and len(by_name) == 7
    assert by_name["lead-n"]["rougeL"] == 1.0 and by_name["extractive"]["documents"] == 2
    assert command([*order, str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl: No such file" in capsys.readouterr().err


def test_a_codec_alone_sums_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a predictor, which extractive summaries do not need."""
    weights = Path(resolve().encoder).parent
    for part in ("encoder", "decoder", "tokenizer"):
        (tmp_path / "codec" / part).parent.mkdir(exist_ok=True)
        (tmp_path / "codec" / part).symlink_to(weights / part)
    row = {"sentences": SENTENCES, "summaries": ["The dog ran home."], "count": 1}
    order = ["evaluate", "summaries", "--threads", "1", "-m", str(tmp_path / "codec")]
    assert command([*order, "--texts", _write(tmp_path / "dogs.jsonl", row)]) == 0
    assert "| dogs | extractive |" in capsys.readouterr().out
