"""The models that have names, and what is known of what they were trained for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonar_cli.hub.download import Hub
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import predictor_config, read_json
from sonar_cli.options import MINI

FAR_FROM_MINI = (
    "mini knows only small stories, and this text is far from them; "
    "-m 900m gets a real model (once, several GB)"
)
# The model inside the package.
EMBEDDED = Path(__file__).parents[1] / "mini" / "weights"


@dataclass(frozen=True)
class SummaryTraining:
    """What a predictor that was trained to write summaries was trained with.

    `cue` is the sentence after which it writes one, None for the usual one; `context` the most
    sentences it was shown in front of that, None where nobody says.
    """

    cue: str | None = None
    context: int | None = None


@dataclass(frozen=True)
class Published:
    """A published predictor: its repository and its working parameters as text.

    `summaries` tells that it was trained to write them too, though its authors have published
    neither the cue nor the length: what is asked for where nothing is known goes for it.
    """

    repository: str
    parameters: str
    summaries: bool = False


PUBLISHED = {
    "100m": Published("raxtemur/sonar-llm-100m", "35 M"),
    "300m": Published("raxtemur/sonar-llm-300m", "170 M"),
    "600m": Published("raxtemur/sonar-llm-600m", "454 M"),
    "900m": Published("raxtemur/sonar-llm-900m", "698 M"),
    "1.3b": Published("raxtemur/sonar-llm-1.3b", "1.3 B", summaries=True),
}
SONAR_ENCODER = "cointegrated/SONAR_200_text_encoder"
SONAR_DECODER = "raxtemur/SONAR_200_text_decoder"


@dataclass(frozen=True)
class KnownModel:
    """A model with a name of its own, as `models list` shows it."""

    name: str
    source: str
    parameters: str
    present: bool
    summaries: bool = False


def published(model: str) -> Published | None:
    """Return the published predictor that a name or a repository means, if it is one.

    >>> published("900M").repository
    'raxtemur/sonar-llm-900m'
    """
    if found := PUBLISHED.get(model.casefold()):
        return found
    return next((each for each in PUBLISHED.values() if each.repository == model), None)


def summary_training(model: str, predictor: Path | None = None) -> SummaryTraining | None:
    """Tell what a model was trained with to write summaries; None where it was not.

    Of published models the catalogue knows; of others the config.json in their folder
    `predictor` says, where that is here.
    """
    if found := published(model):
        return SummaryTraining() if found.summaries else None
    if predictor is None or not (predictor / CONFIG).is_file():
        return None
    try:
        config = predictor_config(read_json(predictor / CONFIG))
    except (KeyError, TypeError, ValueError):
        return None  # loading it says what is wrong
    if config.summary_cue is None:
        return None
    return SummaryTraining(config.summary_cue, config.trained_len)


def known() -> tuple[KnownModel, ...]:
    """Return the models that have names, and whether their files are here."""
    hub = Hub(offline=True, progress=False)
    own = summary_training(MINI, EMBEDDED / "predictor") is not None
    return (
        KnownModel(MINI, "in the package", "8 M with its codec", True, own),
        *(
            KnownModel(
                name,
                each.repository,
                each.parameters,
                hub.has_model(each.repository),
                each.summaries,
            )
            for name, each in PUBLISHED.items()
        ),
    )
