"""Plan a summary: its method, its number of sentences, and the parts that a predictor reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sonar_cli.errors import UsageError
from sonar_cli.hub.catalogue import SummaryTraining, published, summary_training
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.options import Method, SummaryOptions
from sonar_cli.summary.document import Document
from sonar_cli.summary.salience import parts

# Default number of sentences in a summary.
SENTENCES = 5
# Default of the most sentences that a predictor reads at once.
CONTEXT = 64

_FAR = "mini has learned to sum up its own world's small stories, and this text is far from them"
FAR_BUT_WRITTEN = f"{_FAR}; --method extractive chooses from its own sentences"
FAR_SO_EXTRACTIVE = f"{_FAR}: its own sentences are chosen"


@dataclass(frozen=True)
class Plan:
    """How one document is summarized.

    The summary has at most `count` sentences. `cue` is the sentence that asks a predictor for it,
    `context` the most sentences that the predictor reads at once.
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
    """Return the plan for a document: choose what the options leave open, and tell `notify` why.

    `training` is how the model was trained to write summaries, None if it was not. `model` is its
    name, for the notices. `far` tells whether the text is far from those that it learned to sum up.
    """
    count = wanted(document, options)
    cue = options.cue or (training.cue if training else None) or SUMMARY_CUE
    context = options.context or (training.context if training else None) or CONTEXT
    if len(document) <= count:
        # The whole text is the summary, so no notice is needed.
        return Plan("extractive", count, cue, context)
    if options.method != "auto":
        if options.method != "extractive" and far():
            notify(FAR_BUT_WRITTEN)
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
    """Tell whether a summary with these options may need the model's predictor.

    Raises UsageError if it needs the predictor of a published model that has not learned to write
    summaries.
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
    """Return the message that a model has not learned to write summaries, and what to do."""
    return (
        f"{model} has not learned to write summaries; use --method extractive, or let it try with "
        "--force (and --cue, the sentence to answer to)"
    )


def wanted(document: Document, options: SummaryOptions) -> int:
    """Return the most sentences that the summary may have, at least one."""
    if options.share is None:
        return options.sentences or SENTENCES
    # Rounded first, because 0.07 * 100 is 7.000000000000001, whose ceiling is 8.
    return max(1, math.ceil(round(options.share * len(document), 6)))


def reading_parts(document: Document, context: int) -> list[range]:
    """Return the parts of at most `context` rows that the predictor reads one by one."""
    return parts([document.paragraphs[index] for index in document.rows], context)


def too_long(document: Document, context: int, so: str) -> str:
    """Return the message that a document is too long to read at once; `so` says what is done."""
    return f"{len(document)} sentences are more than the model reads at once ({context}): {so}"
