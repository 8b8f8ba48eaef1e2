"""How a document is to be summed up: by which method, in how many sentences, read in what parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sonar_cli.errors import UsageError
from sonar_cli.hub.catalogue import FAR_FROM_MINI, SummaryTraining, published, summary_training
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.options import Method, SummaryOptions
from sonar_cli.summary.document import Document
from sonar_cli.summary.salience import parts

# Where nobody says: sentences of a summary, and sentences that a predictor is shown at once.
SENTENCES = 5
CONTEXT = 64

FAR_SO_EXTRACTIVE = (
    "mini has learned to write small stories alone, and this text is far from them: "
    "its own sentences are chosen"
)


@dataclass(frozen=True)
class Plan:
    """How one document is summed up.

    The summary has at most `count` sentences. `cue` is the sentence that asks a predictor for it,
    `context` the most sentences that it reads at once.
    """

    method: Method
    count: int
    cue: str = SUMMARY_CUE
    context: int = CONTEXT


def make_plan(
    document: Document,
    options: SummaryOptions,
    training: SummaryTraining | None,
    model: str,
    far: Callable[[], bool],
    notify: Callable[[str], None],
) -> Plan:
    """Settle what the options leave open; `notify` is told what was chosen, and why.

    `training` is what the model was trained with, None where it has not learned to write
    summaries. `far` tells whether the text is far from all that it was trained on.
    """
    count = wanted(document, options)
    cue = options.cue or (training.cue if training else None) or SUMMARY_CUE
    context = options.context or (training.context if training else None) or CONTEXT
    if len(document) <= count:
        # It comes back whole: nothing is written, so there is nothing to say.
        return Plan("extractive", count, cue, context)
    if options.method != "auto":
        if options.method != "extractive" and far():
            notify(FAR_FROM_MINI)
        return Plan(options.method, count, cue, context)
    method: Method = "extractive"
    if training is None:
        notify(
            f"{model} has not learned to write summaries: sentences of the "
            "text are chosen (--method extractive says so without this line)"
        )
    elif far():
        notify(FAR_SO_EXTRACTIVE)
    elif len(document) > context:
        notify(
            too_long(
                document,
                context,
                "sentences of the text are chosen (--method hybrid writes part by part)",
            )
        )
    else:
        method = "hybrid"
    return Plan(method, count, cue, context)


def may_write(model: str, options: SummaryOptions) -> bool:
    """Tell whether summaries by these options may take the model's predictor.

    Raises UsageError where they need one that has not learned to write summaries, as far as the
    catalogue of published models knows.
    """
    if options.method == "extractive":
        return False
    unable = published(model) is not None and summary_training(model) is None
    if unable and not options.force:
        if options.method != "auto":
            raise UsageError(untrained(model))
        return False
    return True


def untrained(model: str) -> str:
    """Say that a model has not learned to write summaries, and what to do."""
    return (
        f"{model} has not learned to write summaries; use --method extractive, or let it try with "
        "--force (and --cue, the sentence to answer to)"
    )


def wanted(document: Document, options: SummaryOptions) -> int:
    """Return how many sentences the summary may have, at least one."""
    if options.share is None:
        return options.sentences or SENTENCES
    # A tenth of 30 is 3, not the 4 that 3.0000000000000004 would be rounded up to.
    return max(1, math.ceil(round(options.share * len(document), 6)))


def reading_parts(document: Document, context: int) -> list[range]:
    """Return the rows that the predictor reads at once, part by part."""
    return parts([document.paragraphs[index] for index in document.rows], context)


def too_long(document: Document, context: int, so: str) -> str:
    """Say that a document is longer than the model reads at once, and what is done about it."""
    return f"{len(document)} sentences are more than the model reads at once ({context}): {so}"
