"""How well the systems sum up stories of a world, each by the cue that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from sonar_cli.evaluation.documents import KINDS
from sonar_cli.evaluation.metrics import meteor, rouge_scorer
from sonar_cli.evaluation.summaries import ABSTRACTIVE
from sonar_cli.evaluation.summarizers import ours
from sonar_cli.hub.catalogue import SummaryTraining
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.load import AnySystem
from sonar_cli.world.stories import Story


def measure(
    system: AnySystem, codec: Codec, training: SummaryTraining, stories: Sequence[Story]
) -> dict[str, float]:
    """Let a system write summaries of stories, as many sentences as the world's; return means.

    They are of `rouge1`, `rouge2` and `rougeL`, F measures with stemming, and `meteor`, in [0, 1],
    and `exact`, the share that is the world's summary word for word. `training` is how the system
    learned to sum up. Raises UsageError where rouge-score is missing.
    """
    scorer = rouge_scorer(KINDS)
    summarizer = ours(codec, system, training)[ABSTRACTIVE]
    texts, counts = [each.sentences for each in stories], [len(each.summary) for each in stories]
    written = [" ".join(each) for each in summarizer(texts, counts)]
    wanted = [" ".join(each.summary) for each in stories]
    pairs = list(zip(wanted, written, strict=True))
    scores = [scorer.score(reference, summary) for reference, summary in pairs]
    return {
        **{kind: fmean(each[kind].fmeasure for each in scores) for kind in KINDS},
        "meteor": fmean(meteor(reference, summary) for reference, summary in pairs),
        "exact": fmean(reference == summary for reference, summary in pairs),
    }
