"""The plots of the paper's comparison, as SVG, from the JSON of `evaluate paper`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.parts import cost_of
from sonar_cli.render.output import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What `evaluate paper --format json` writes, and its records.
Found = Mapping[str, Any]
Records = Sequence[Mapping[str, Any]]

SYSTEMS = ("sonar-llm", "lcm-mse", "lcm-diffusion", "llm")
_COLORS = dict(zip(SYSTEMS, ("C0", "C1", "C2", "C3"), strict=True))
# What is compared of long contexts, and its title.
_PARTS = {
    "read": "to encode and read the context",
    "write": "to write one sentence",
    "both": "to do both",
}
# The same JSON gives the same bytes: no date, and no random names.
_PLAIN = {"Date": None, "Creator": None}
_STYLE: dict[Any, Any] = {"svg.hashsalt": "sonar-llm", "svg.fonttype": "none", "font.size": 9}
_MISSING = "no plots are drawn without matplotlib: pip install 'sonar-llm[train]'"


def draw_comparison(results: Path, folder: Path) -> list[Path]:
    """Draw what a file of results holds into SVG files, and return these.

    They are scaling.svg, quality.svg, needle.svg and cost.svg in `folder`, which is made where it
    is not there; one without records is left out. Raises UsageError where the file holds no results
    of a comparison, or matplotlib is missing.
    """
    found = _read(results)
    # Where it caches its fonts is nothing that the user has to know.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from matplotlib import rc_context
    except ImportError:
        raise UsageError(_MISSING) from None
    plots: dict[str, Callable[[Found], Figure | None]] = {
        "scaling": scaling,
        "quality": quality,
        "needle": needle,
        "cost": cost,
    }
    written: list[Path] = []
    with rc_context(_STYLE):
        for name, plot in plots.items():
            try:
                figure = plot(found)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UsageError(f"{results}: {name} cannot be drawn of it ({error!r})") from None
            if figure is None:
                continue
            data = BytesIO()
            figure.savefig(data, format="svg", metadata=_PLAIN)
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / f"{name}.svg")
            write_whole(data.getvalue(), str(written[-1]))
    return written


def scaling(found: Found) -> Figure | None:
    """Draw loss by number of parameters, on logarithmic axes, with the fitted curves.

    A point is the mean of a size's seeds, a bar their standard deviation. The dashed line is the
    entropy of the texts, where it is known.
    """
    if not found["runs"]:
        return None
    figure, (axes,) = _figure(1, 1, width=6)
    fits = {each["system"]: each for each in found["fits"]}
    for system, runs in _by_system(found["runs"]):
        points = _spread(runs, "parameters", "nats")
        sizes = [size for size, _, _ in points]
        label, color = system, _COLORS[system]
        if system in fits:
            fit = fits[system]
            curve = [fit["a"] * size ** -fit["alpha"] + fit["b"] for size in _between(sizes)]
            axes.plot(_between(sizes), curve, color=color, linewidth=1)
            label = f"{system}: {fit['a']:.3g} N^-{fit['alpha']:.3g} + {fit['b']:.3g}"
        _bars(axes, points, label, color, line=False)
    if least := found.get("entropy", {}).get("nats_a_token"):
        axes.axhline(least, color="gray", linestyle="--", linewidth=1, label="entropy of the texts")
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="trainable parameters N", ylabel="nats a token of the next sentence")
    _finish(axes)
    return figure


def quality(found: Found) -> Figure | None:
    """Draw each measure of continuations and of summaries: a dot a system, a bar its spread."""
    lines = [*found["quality"], *found["summaries"]]
    if not lines:
        return None
    figure, (axes,) = _figure(1, 1, width=7, height=1 + 0.3 * len(lines))
    for at, system in enumerate(SYSTEMS):
        here = [(row, line[system]) for row, line in enumerate(lines) if system in line]
        axes.errorbar(
            [value["mean"] for _, value in here],
            [row + 0.15 * (at - 1.5) for row, _ in here],
            xerr=[value["spread"] for _, value in here],
            fmt="o", markersize=3, capsize=2, color=_COLORS[system], label=system,
        )  # fmt: skip
    axes.set_yticks(range(len(lines)), [line["measure"] for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("mean over seeds, with standard deviation")
    _finish(axes)
    return figure


def needle(found: Found) -> Figure | None:
    """Draw how often the needle is found: by context, and for each system by depth as well."""
    records = found["needle_runs"]
    if not records:
        return None
    systems = list(_by_system(records))
    figure, (whole, *maps) = _figure(1, 1 + len(systems), width=12)
    for (system, own), axes in zip(systems, maps, strict=True):
        all_depths = [each for each in own if each["depth"] is None]
        _bars(whole, _spread(all_depths, "sentences", "share"), system, _COLORS[system])
        contexts = sorted({each["sentences"] for each in own})
        depths = sorted({each["depth"] for each in own} - {None})
        shares = [
            [
                fmean(e["share"] for e in own if (e["sentences"], e["depth"]) == (context, depth))
                for context in contexts
            ]
            for depth in depths
        ]
        map_ = axes.pcolormesh(shares, vmin=0, vmax=1, cmap="viridis")
        axes.set_xticks([n + 0.5 for n in range(len(contexts))], contexts, rotation=90)
        axes.set_yticks([n + 0.5 for n in range(len(depths))], [f"{each:.0%}" for each in depths])
        axes.invert_yaxis()
        axes.set(title=system, xlabel="sentences")
    maps[0].set_ylabel("depth")
    figure.colorbar(map_, ax=maps, label="share found")
    whole.set_xscale("log", base=2)
    whole.set(ylim=(-0.02, 1.02), xlabel="sentences of context", ylabel="needle found (share)")
    _finish(whole)
    return figure


def cost(found: Found) -> Figure | None:
    """Draw seconds by context, for reading, writing and both, with the crossovers.

    A row has trained or random weights. The band is where a SONAR-LLM and the token-level Llama
    were measured to cross, the dotted line where they do by counted FLOPs, and the dashed one where
    they do in the paper.
    """
    kinds = list(dict.fromkeys(each["weights"] for each in found["costs"]))
    if not kinds:
        return None
    figure, places = _figure(len(kinds), len(_PARTS), width=11)
    for number, axes in enumerate(places):
        weights, part = kinds[number // len(_PARTS)], list(_PARTS)[number % len(_PARTS)]
        for system, own in _by_system(found["costs"]):
            here = [each for each in own if each["weights"] == weights]
            points = sorted(
                (each["sentences"] * each["tokens"], cost_of(each, part, "seconds"))
                for each in here
            )
            axes.plot(
                *zip(*points, strict=True),
                marker="o", markersize=3, color=_COLORS[system], label=system,
            )  # fmt: skip
        for each in found["crossovers"]:
            if each["found"] and (each["weights"], each["part"]) == (weights, part):
                _cross(axes, each)
        axes.axvline(found["paper_tokens"], color="gray", linestyle="--", linewidth=1,
                     label=f"the paper's {found['paper_tokens']:,} tokens")  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="tokens of context", ylabel="seconds")
        axes.set_title(f"{weights} weights: {_PARTS[part]}", fontsize=9)
        _finish(axes)
    return figure


def _cross(axes: Axes, crossing: Mapping[str, Any]) -> None:
    if crossing["unit"] == "seconds":
        low, high = crossing["low_tokens"], crossing["high_tokens"]
        axes.axvspan(low, high, color="C4", alpha=0.4, label=f"measured: {low:,} to {high:,}")
    else:
        axes.axvline(crossing["high_tokens"], color="C5", linestyle=":", label="by counted FLOPs")


def _read(results: Path) -> Found:
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{results} is not JSON ({error})") from None
    wanted = ("runs", "fits", "quality", "summaries", "needle_runs", "costs", "crossovers")
    missing = [each for each in wanted if not isinstance(found, Mapping) or each not in found]
    if missing:
        raise UsageError(
            f"{results} is no JSON of `evaluate paper --format json`: it has no {missing[0]}"
        )
    return found


def _figure(rows: int, columns: int, width: float, height: float = 4) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _by_system(records: Records) -> Iterator[tuple[str, Records]]:
    for system in SYSTEMS:
        if own := [each for each in records if each["system"] == system]:
            yield system, own


def _spread(records: Records, by: str, name: str) -> list[tuple[float, float, float]]:
    """Return for each value of `by` that, the mean of `name` and its standard deviation."""
    groups: dict[float, list[float]] = {}
    for each in records:
        groups.setdefault(each[by], []).append(each[name])
    return [
        (at, fmean(values), stdev(values) if len(values) > 1 else 0.0)
        for at, values in sorted(groups.items())
    ]


def _bars(
    axes: Axes,
    points: Sequence[tuple[float, float, float]],
    label: str,
    color: str,
    line: bool = True,
) -> None:
    at, means, spreads = zip(*points, strict=True)
    style = "o-" if line else "o"
    axes.errorbar(
        at, means, yerr=spreads, fmt=style, markersize=4, capsize=2, color=color, label=label
    )


def _between(sizes: Sequence[float], count: int = 50) -> list[float]:
    """Return sizes from the least to the largest, evenly on a logarithmic axis."""
    low, high = min(sizes), max(sizes)
    return [low * (high / low) ** (step / (count - 1)) for step in range(count)]


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
