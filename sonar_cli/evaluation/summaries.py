"""How good summaries are: systems side by side, each beside the reference summaries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol

from sonar_cli.evaluation import metrics
from sonar_cli.evaluation.baselines import LEAD, SUMY, System, baselines
from sonar_cli.evaluation.report import grid

__all__ = [
    "ABSTRACTIVE",
    "EXTRACTIVE",
    "Check",
    "Progress",
    "Score",
    "Summarized",
    "System",
    "Written",
    "baselines",
    "json_lines",
    "markdown",
    "markdown_of_targets",
    "run",
    "targets",
]

# The names of our systems that promise something.
ABSTRACTIVE, EXTRACTIVE = "abstractive", "extractive"


class Summarized(Protocol):
    """A text with its reference summary, such as a story of the story world."""

    @property
    def sentences(self) -> Sequence[str]:
        """The text's sentences."""

    @property
    def summary(self) -> Sequence[str]:
        """The reference summary's sentences."""


class Written(NamedTuple):
    """What a system wrote of a story."""

    system: str
    story: Summarized
    summary: Sequence[str]


@dataclass(frozen=True)
class Score:
    """A system's means over stories, shares in [0, 1]; whether METEOR took synonyms."""

    system: str
    rouge_l: float
    meteor: float
    stories: int
    synonyms: bool = True


@dataclass(frozen=True)
class Check:
    """What one of our systems is to reach, its value and the value that it is held to."""

    claim: str
    ours: float
    theirs: float
    met: bool


Progress = Callable[[Iterable[Written], int], Iterable[Written]]


def run(
    systems: Mapping[str, System],
    stories: Iterable[Summarized],
    progress: Progress | None = None,
) -> list[Score]:
    """Let every system sum up the stories, in as many sentences as the reference has.

    A system is called once, with all stories, and may write fewer sentences, but not more.
    `progress` may wrap all that is written, of all systems, to show how far it is.
    """
    # A missing package is told before hours of work, not after.
    metrics.rouge_scorer()
    told = list(stories)
    written = _written(systems, told)
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    for each in progress(written, len(systems) * len(told)) if progress else written:
        reference, summary = " ".join(each.story.summary), " ".join(each.summary)
        pair = metrics.rouge_l(reference, summary), metrics.meteor(reference, summary)
        values[each.system].append(pair)
    return [_score(name, pairs) for name, pairs in values.items()]


def _written(systems: Mapping[str, System], told: Sequence[Summarized]) -> Iterator[Written]:
    texts, counts = [each.sentences for each in told], [len(each.summary) for each in told]
    for name, system in systems.items():
        for story, summary in zip(told, system(texts, counts), strict=True):
            if len(summary) > len(story.summary):
                raise ValueError(f"{name} wrote {len(summary)} sentences, not {len(story.summary)}")
            yield Written(name, story, summary)


def _score(name: str, pairs: Sequence[tuple[float, float]]) -> Score:
    count = max(len(pairs), 1)
    rouge_l = sum(rouge_l for rouge_l, _ in pairs) / count
    meteor = sum(meteor for _, meteor in pairs) / count
    return Score(name, rouge_l, meteor, len(pairs), metrics.has_synonyms())


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as a Markdown table; the best of each column is bold.

    >>> print(markdown([Score("lead-n", 0.3128, 0.25, 300), Score("LSA", 0.28, 0.2501, 300)]))
    | system | ROUGE-L | METEOR | stories |
    | --- | ---: | ---: | ---: |
    | lead-n | **31.3 %** | **25.0 %** | 300 |
    | LSA | 28.0 % | **25.0 %** | 300 |
    """
    meteor = "METEOR" if all(score.synonyms for score in scores) else "METEOR (no synonyms)"
    rows = zip(
        [score.system for score in scores],
        _best_bold([score.rouge_l for score in scores]),
        _best_bold([score.meteor for score in scores]),
        [score.stories for score in scores],
        strict=True,
    )
    head = ["system", "ROUGE-L", meteor, "stories"]
    return grid(head, [list(row) for row in rows], right=head[1:])


def _best_bold(values: Sequence[float]) -> list[str]:
    """Percentages; those that read as the best are all bold."""
    best = _percent(max(values, default=0.0))
    return [f"**{best}**" if _percent(value) == best else _percent(value) for value in values]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def targets(scores: Sequence[Score]) -> list[Check]:
    """Hold our systems to what they promise, as far as the systems are among the scores.

    The abstractive one is to beat each baseline, the extractive one to be at least as good as the
    best of sumy's.

    >>> scores = [Score("lead-n", 0.30, 0.25, 300), Score("abstractive", 0.35, 0.25, 300)]
    >>> [(check.claim, check.met) for check in targets(scores)]
    [('abstractive beats lead-n in ROUGE-L', True), ('abstractive beats lead-n in METEOR', False)]
    """
    checks: list[Check] = []
    for measure, values in {
        "ROUGE-L": {score.system: score.rouge_l for score in scores},
        "METEOR": {score.system: score.meteor for score in scores},
    }.items():
        if (ours := values.get(ABSTRACTIVE)) is not None:
            for name in filter(values.__contains__, (LEAD, *SUMY)):
                claim = f"{ABSTRACTIVE} beats {name} in {measure}"
                checks.append(Check(claim, ours, values[name], ours > values[name]))
        sumy = [values[name] for name in SUMY if name in values]
        if sumy and (ours := values.get(EXTRACTIVE)) is not None:
            claim = f"{EXTRACTIVE} is at least the best of sumy in {measure}"
            checks.append(Check(claim, ours, max(sumy), ours >= max(sumy)))
    return checks


def markdown_of_targets(checks: Sequence[Check]) -> str:
    """Return the checks as a Markdown table.

    >>> print(markdown_of_targets([Check("abstractive beats lead-n", 0.35, 0.3, True)]))
    | target | ours | theirs | met |
    | --- | ---: | ---: | --- |
    | abstractive beats lead-n | 35.0 % | 30.0 % | yes |
    """
    rows = [
        [check.claim, _percent(check.ours), _percent(check.theirs), "yes" if check.met else "no"]
        for check in checks
    ]
    return grid(["target", "ours", "theirs", "met"], rows, right=["ours", "theirs"])


def json_lines(records: Sequence[Score | Check]) -> str:
    """Return scores or checks as JSON Lines.

    >>> json_lines([Score("lead-n", 0.3, 0.25, 300)])
    '{"system": "lead-n", "rouge_l": 0.3, "meteor": 0.25, "stories": 300, "synonyms": true}'
    """
    return "\n".join(json.dumps(asdict(record)) for record in records)
