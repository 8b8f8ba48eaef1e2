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
_NEARNESS = {
    "explained": "variance of the next vector explained (R²)",
    "near": "cosine of predicted and true vector",
}
_LIKELIHOOD = {"nats": "nats a token", "brier": "BrierLM"}
_TIMED = {name: f"{head}, after equal seconds" for name, head in _LIKELIHOOD.items()}


def compared(of: Comparison) -> Report:
    """Make every training and measure of a comparison; return its tables, with all records."""
    return report(
        {
            "terms": asdict(of.terms),
            "machine": of.machine,
            "entropy": of.entropy,
            "paper_tokens": PAPER_TOKENS,
            "rates": of.rates,
            "runs": of.sizes,
            "timed_runs": of.timed,
            "fits": of.fits,
            "nearness_runs": of.nearness,
            "tolerance": of.tolerance,
            "quality_runs": of.quality,
            "summary_runs": of.summaries,
            "needle_runs": of.needles,
            "costs": of.costs,
            "crossovers": of.crossovers,
            "effort": of.runs.effort(),
        }
    )


def report(found: Record) -> Report:
    """Return the tables of what a comparison found, or of the JSON that was kept of one.

    JSON has the terms, the machine and a record for every run (`runs`, `timed_runs`,
    `nearness_runs`, `quality_runs`, `summary_runs`, `needle_runs`), and the means and spreads that
    the tables show.
    """
    tables = [
        _rates(found["rates"]),
        _by_system("steps", found["runs"], _LIKELIHOOD),
        _by_system("seconds", found["timed_runs"], _TIMED),
        Table("fits", _FITS, found["fits"]),
        _by_system("nearness", found["nearness_runs"], _NEARNESS),
        Table("tolerance", _TOLERANCE, found["tolerance"]),
        _by_system("quality", found["quality_runs"], _QUALITY),
        _by_system("summaries", found["summary_runs"], _SUMMARIES),
        _needles(found["needle_runs"]),
        Table("costs", _COSTS, found["costs"]),
        Table("crossovers", _CROSSOVERS, found["crossovers"]),
    ]
    tabled = {each.name for each in tables}
    notes = {name: each for name, each in found.items() if name not in tabled}
    return Report(tables, notes=notes, line=_line(found))


def _line(found: Record) -> str:
    """Say on which machine all was made, and what the texts' grammar tells, if they have one."""
    effort, entropy = found["effort"], found["entropy"]
    line = f"{found['machine']}. {effort['trainings']} trainings took {effort['hours']:.1f} hours."
    if not entropy:
        return line
    return (
        f"{line} A sentence of these stories tells {entropy['bits_a_sentence']:.2f} bits, so that"
        f" no model can expect less than {entropy['nats_a_token']:.3f} nats a token."
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
        *(Column(None, f"nats a token at {float(rate):g}", _tried(rate)) for rate in rates),
    ]
    return Table("rates", columns, records)


def _tried(rate: str) -> Callable[[Record], str]:
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

_TOLERANCE = (
    Column("explained", "variance left of true vectors", "{:.2f}".format),
    Column("mean_nats", "nats a token, the error towards their mean", "{:.3g}".format),
    Column("random_nats", "nats a token, a random error", "{:.3g}".format),
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
