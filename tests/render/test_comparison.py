"""The plots of a comparison: what is in them, and what cannot be drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sonar_cli.errors import UsageError
from sonar_cli.render.comparison import cost, draw_comparison, needle, scaling

EMPTY: dict[str, Any] = {
    name: [] for name in ("runs", "fits", "quality", "summaries", "needle_runs", "costs")
}
EMPTY |= {"crossovers": [], "paper_tokens": 4_096}


def test_a_curve_goes_through_the_points_that_it_fits() -> None:
    sizes, fit = (1e5, 1e6), {"system": "llm", "a": 500.0, "alpha": 0.5, "b": 1.0}
    runs = [
        {"system": "llm", "parameters": size, "nats": 500 * size**-0.5 + 1 + off}
        for size in sizes for off in (-0.1, 0.1)
    ]  # fmt: skip
    figure = scaling({**EMPTY, "runs": runs, "fits": [fit]})
    assert figure is not None
    (axes,) = figure.axes
    curve, points = axes.lines[0], axes.containers[0].lines[0]  # type: ignore[attr-defined]
    assert list(points.get_xdata()) == list(sizes)
    for end in (0, -1):
        assert curve.get_xdata()[end] == pytest.approx(points.get_xdata()[end])
        assert curve.get_ydata()[end] == pytest.approx(points.get_ydata()[end])
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_the_crossover_is_a_band_of_the_measured_tokens() -> None:
    costs = [
        {"weights": "trained", "system": "llm", "sentences": n, "tokens": 20}
        | {"encode_seconds": 0.0, "read_seconds": n * 0.1, "write_seconds": 1.0}
        for n in (16, 1_024)
    ]
    crossing = {"weights": "trained", "unit": "seconds", "part": "both", "found": True}
    crossing |= {"low_tokens": 1_000, "high_tokens": 1_040}
    figure = cost({**EMPTY, "costs": costs, "crossovers": [crossing]})
    assert figure is not None
    assert [len(axes.patches) for axes in figure.axes] == [0, 0, 1]
    assert figure.axes[2].patches[0].get_extents().width > 0
    labels = [text.get_text() for text in figure.axes[2].get_legend().get_texts()]
    assert {"the paper's 4,096 tokens", "measured: 1,000 to 1,040"} <= set(labels)
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[320, 1.6], [20_480, 102.4]]


def test_the_needle_is_drawn_by_context_and_depth() -> None:
    runs = [
        {"system": "llm", "sentences": n, "depth": depth, "share": share}
        for n in (16, 32) for depth, share in ((None, 0.5), (0.0, 0.25), (0.5, 0.75))
    ]  # fmt: skip
    figure = needle({**EMPTY, "needle_runs": runs})
    assert figure is not None
    whole, by_depth, _ = figure.axes
    assert whole.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.5]  # type: ignore[attr-defined]
    shares = by_depth.collections[0].get_array()
    assert shares is not None and shares.tolist() == [[0.25, 0.25], [0.75, 0.75]]


def test_what_has_no_records_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(EMPTY))
    assert draw_comparison(file, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "it has no runs"),
        ('{"runs": []}', "it has no fits"),
        (json.dumps({**EMPTY, "runs": [{"system": "llm"}]}), "scaling cannot be drawn"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=told):
        draw_comparison(file, tmp_path)


def test_without_matplotlib_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(EMPTY))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'sonar-llm\[train\]'"):
        draw_comparison(file, tmp_path)
