"""How good summaries are: summarizers side by side, held against reference summaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol

from sonar_cli.evaluation.baselines import LEAD, SUMY, baselines
from sonar_cli.evaluation.metrics import meteor, rouge_l, rouge_scorer
from sonar_cli.evaluation.report import Claim, Column, Report, Table, best_in_bold
from sonar_cli.evaluation.summarizers import Summarizer
from sonar_cli.evaluation.wordnet import has_synonyms

__all__ = [
    "ABSTRACTIVE",
    "EXTRACTIVE",
    "Progress",
    "Score",
    "Summarized",
    "Written",
    "baselines",
    "claims",
    "report",
    "run",
    "scores",
]

# Those of our summarizers that are held to targets.
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
    """The summary of one text by the summarizer of the name `system`."""

    system: str
    text: Summarized
    summary: Sequence[str]


@dataclass(frozen=True)
class Score:
    """How good the summaries by the summarizer of the name `system` are.

    `rouge_l` and `meteor` are means over `stories` texts, in [0, 1]. `synonyms` tells whether
    METEOR could match synonyms.
    """

    system: str
    rouge_l: float
    meteor: float
    stories: int
    synonyms: bool = True


# progress(all summaries as they are written, their number) -> the same summaries
Progress = Callable[[Iterable[Written], int], Iterable[Written]]


def run(
    summarizers: Mapping[str, Summarizer],
    texts: Iterable[Summarized],
    progress: Progress | None = None,
) -> Report:
    """Let every summarizer sum up the texts; report the scores and what ours promise.

    `scores` says more about the arguments and what is raised.
    """
    return report(scores(summarizers, texts, progress))


def scores(
    summarizers: Mapping[str, Summarizer],
    texts: Iterable[Summarized],
    progress: Progress | None = None,
) -> list[Score]:
    """Let every summarizer sum up the texts; return its score, in the order of `summarizers`.

    Each is called once, with all texts, and may write as many sentences as the reference has or
    fewer. `progress` may wrap the summaries, of all summarizers, to show how many are done.

    Raises UsageError where rouge-score is missing, ValueError for a summary with too many
    sentences or a summarizer that does not sum up every text.
    """
    # A missing package is told before hours of work, not after.
    rouge_scorer()
    given = list(texts)
    written = _written(summarizers, given)
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in summarizers}
    for each in progress(written, len(summarizers) * len(given)) if progress else written:
        reference, summary = " ".join(each.text.summary), " ".join(each.summary)
        pair = rouge_l(reference, summary), meteor(reference, summary)
        values[each.system].append(pair)
    return [_score(name, pairs) for name, pairs in values.items()]


def _written(
    summarizers: Mapping[str, Summarizer], texts: Sequence[Summarized]
) -> Iterator[Written]:
    sentences, counts = [each.sentences for each in texts], [len(each.summary) for each in texts]
    for name, summarizer in summarizers.items():
        for text, summary in zip(texts, summarizer(sentences, counts), strict=True):
            if len(summary) > len(text.summary):
                raise ValueError(f"{name} wrote {len(summary)} sentences, not {len(text.summary)}")
            yield Written(name, text, summary)


def _score(name: str, pairs: Sequence[tuple[float, float]]) -> Score:
    rouge_ls, meteors = [rouge for rouge, _ in pairs], [meteor for _, meteor in pairs]
    return Score(name, _mean(rouge_ls), _mean(meteors), len(pairs), has_synonyms())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)


def report(scores: Sequence[Score]) -> Report:
    """Report scores in one table, the best of each measure in bold, and what ours promise.

    >>> scores = [Score("lead-n", 0.3128, 0.25, 300), Score("LSA", 0.28, 0.2501, 300)]
    >>> print(report(scores).markdown())
    | system | ROUGE-L | METEOR | stories |
    | --- | ---: | ---: | ---: |
    | lead-n | **31.3 %** | **25.0 %** | 300 |
    | LSA | 28.0 % | **25.0 %** | 300 |
    """
    synonyms = all(score.synonyms for score in scores)
    columns = (
        Column("system", "system", left=True),
        Column("rouge_l", "ROUGE-L", best_in_bold(score.rouge_l for score in scores)),
        Column(
            "meteor",
            "METEOR" if synonyms else "METEOR (no synonyms)",
            best_in_bold(score.meteor for score in scores),
        ),
        Column("stories", "stories"),
    )
    table = Table("scores", columns, [asdict(score) for score in scores])
    return Report([table], claims(scores))


def claims(scores: Sequence[Score]) -> list[Claim]:
    """Return what our summarizers promise and whether they keep it.

    The abstractive one is to beat each baseline, the extractive one to be at least as good as the
    best of sumy's. A summarizer that has no score promises nothing, and is not compared with.

    >>> scores = [Score("lead-n", 0.30, 0.25, 300), Score("abstractive", 0.35, 0.25, 300)]
    >>> [(each.claim, each.met) for each in claims(scores)]
    [('abstractive beats lead-n in ROUGE-L', True), ('abstractive beats lead-n in METEOR', False)]
    """
    found: list[Claim] = []
    for measure, values in {
        "ROUGE-L": {score.system: score.rouge_l for score in scores},
        "METEOR": {score.system: score.meteor for score in scores},
    }.items():
        if (ours := values.get(ABSTRACTIVE)) is not None:
            for name in filter(values.__contains__, (LEAD, *SUMY)):
                claim = f"{ABSTRACTIVE} beats {name} in {measure}"
                found.append(Claim(claim, ours, values[name], ours > values[name]))
        sumy = [values[name] for name in SUMY if name in values]
        if sumy and (ours := values.get(EXTRACTIVE)) is not None:
            claim = f"{EXTRACTIVE} is at least the best of sumy in {measure}"
            found.append(Claim(claim, ours, max(sumy), ours >= max(sumy)))
    return found
