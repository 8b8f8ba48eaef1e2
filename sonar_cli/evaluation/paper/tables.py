"""What a comparison found, as the tables of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sonar_cli.evaluation.paper import cost
from sonar_cli.evaluation.paper.comparison import Comparison, summed_up
from sonar_cli.evaluation.paper.costs import PAPER_TOKENS
from sonar_cli.evaluation.report import Column, Record, Report, Table, yes_or_no

# Measures of quality and of summaries: name, heading, whether it is a share.
_QUALITY = {
    "bleu_two": "BLEU after two sentences",
    "rouge_l_two": "ROUGE-L after two sentences",
    "meteor_two": "METEOR after two sentences",
    "bleu_half": "BLEU after half",
    "rouge_l_half": "ROUGE-L after half",
    "meteor_half": "METEOR after half",
    "grammar": "sentences of the world's grammar",
    "name": "the main character's name stays",
    "ends": "ends by itself",
    "repeats": "repeats a sentence",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "fidelity": "cosine of predicted and written vector",
}
_SUMMARIES = {
    "rouge1": "ROUGE-1 of summaries",
    "rouge2": "ROUGE-2 of summaries",
    "rougeL": "ROUGE-L of summaries",
    "meteor": "METEOR of summaries",
    "exact": "summaries that are the world's, word for word",
}
_LIKELIHOOD = {"nats": "nats a token", "brier": "BrierLM"}
_TIMED = {name: f"{head}, after equal seconds" for name, head in _LIKELIHOOD.items()}


def report(of: Comparison) -> Report:
    """Make every training and measure of a comparison; return its tables, with all records.

    JSON has the terms, the machine and a record for every run (`runs`, `timed_runs`,
    `quality_runs`, `summary_runs`, `needle_runs`), and the means and spreads that the tables show.
    """
    tables = [
        _rates(of.rates),
        _by_system("steps", of.sizes, _LIKELIHOOD),
        _by_system("seconds", of.timed, _TIMED),
        Table("fits", _FITS, of.fits),
        _by_system("quality", of.quality, _QUALITY),
        _by_system("summaries", of.summaries, _SUMMARIES),
        _needles(of.needles),
        Table("costs", _COSTS, of.costs),
        Table("crossovers", _CROSSOVERS, of.crossovers),
    ]
    notes = {
        "terms": asdict(of.terms),
        "machine": of.machine,
        "entropy": of.entropy,
        "paper_tokens": PAPER_TOKENS,
        "runs": of.sizes,
        "timed_runs": of.timed,
        "quality_runs": of.quality,
        "summary_runs": of.summaries,
        "needle_runs": of.needles,
    }
    return Report(tables, notes=notes, line=_line(of))


def _line(of: Comparison) -> str:
    if not of.entropy:
        return of.machine + "."
    return (
        f"{of.machine}. A sentence of these stories tells {of.entropy['bits_a_sentence']:.2f} bits,"
        f" so that no model can expect less than {of.entropy['nats_a_token']:.3f} nats a token."
    )


def _by_system(name: str, records: Sequence[Record], measures: dict[str, str]) -> Table:
    """Return a table with a line a measure and size, and a column a system."""
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    for measure, head in measures.items():
        for each in summed_up(records, measure):
            line = lines.setdefault(
                (measure, each["size"]), {"measure": head, "size": each["size"]}
            )
            line[each["system"]] = {key: each[key] for key in ("mean", "spread", "seeds")}
    systems = list(dict.fromkeys(each["system"] for each in records))
    columns = [
        Column("measure", "measure", left=True),
        Column("size", "parameters", "{:,}".format),
        *(Column(None, system, _cell(system)) for system in systems),
    ]
    return Table(name, columns, list(lines.values()))


def _rates(records: Sequence[Record]) -> Table:
    """Return a table with a line a size and system: the rate chosen, and the nats of each tried."""
    rates = records[0]["tried"]
    columns = [
        Column("size", "parameters", "{:,}".format),
        Column("system", "system", left=True),
        Column("rate", "learning rate", "{:g}".format),
        *(Column(None, f"nats a token at {rate:g}", _tried(rate)) for rate in rates),
    ]
    return Table("rates", columns, records)


def _tried(rate: float) -> Callable[[Record], str]:
    return lambda record: f"{record['tried'][rate]:.3f}"


def _needles(records: Sequence[Record]) -> Table:
    """Return a table with a line a context, of all depths together, and a column a system."""
    lines: list[dict[str, Any]] = []
    whole = [each for each in records if each["depth"] is None]
    for sentences in dict.fromkeys(each["sentences"] for each in whole):
        line: dict[str, Any] = {"sentences": sentences}
        for each in summed_up([one for one in whole if one["sentences"] == sentences], "share"):
            line[each["system"]] = {key: each[key] for key in ("mean", "spread", "seeds")}
        lines.append(line)
    systems = dict.fromkeys(each["system"] for each in records)
    head = Column("sentences", "needle found, by sentences of context", "{:,}".format)
    return Table("needle", [head, *(Column(None, name, _cell(name)) for name in systems)], lines)


def _cell(system: str) -> Any:
    def show(line: Record) -> str:
        if system not in line:
            return ""
        mean, spread = line[system]["mean"], line[system]["spread"]
        return f"{mean:.3g} ± {spread:.2g}" if line[system]["seeds"] > 1 else f"{mean:.3g}"

    return show


_FITS = (
    Column("system", "system", left=True),
    Column("a", "a", "{:.3g}".format),
    Column(None, "alpha", lambda record: _interval(record, "alpha")),
    Column(None, "b", lambda record: _interval(record, "b")),
    Column("r2", "R²", "{:.3f}".format),
)

_COSTS = (
    Column("weights", "weights", left=True),
    *cost.COLUMNS,
    Column("write_flops", "FLOPs to write one", "{:.2e}".format),
)
_CROSSOVERS = (
    Column("weights", "weights", left=True),
    Column("unit", "by", left=True),
    Column("part", "of", left=True),
    Column("before", "cheaper before", left=True),
    Column("after", "cheaper after", left=True),
    Column(None, "between sentences", lambda each: f"{each['low']:,} and {each['high']:,}"),
    Column(None, "tokens", lambda each: f"{each['low_tokens']:,} and {each['high_tokens']:,}"),
    Column("found", "they cross", yes_or_no, left=True),
)


def _interval(record: Record, name: str) -> str:
    if f"{name}_low" not in record:
        return f"{record[name]:.3g}"
    return f"{record[name]:.3g} ({record[f'{name}_low']:.3g} to {record[f'{name}_high']:.3g})"
