"""What a model takes from its own training where the options leave it open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sonar_cli.hub.catalogue import repeat_threshold, trained_split
from sonar_cli.model.names import CONFIG
from sonar_cli.options import ENGLISH, GenerationOptions, ModelPaths
from sonar_cli.text import sent_tokenize
from sonar_cli.text.inputs import Text


def as_trained(text: Text, model: str, paths: ModelPaths, notify: Callable[[str], None]) -> Text:
    """Return the text with the split "auto" replaced by that of the model's training texts.

    NLTK's Punkt is taken for English alone. `notify` is told where its data is missing. Raises
    CheckpointError for a config.json with an unknown split.

    >>> from sonar_cli.hub.resolve import resolve
    >>> as_trained(Text("tale", "Tom ran."), "mini", resolve(), print).options.split
    'rules'
    """
    options = text.options
    if options.split == "auto" and options.lang == ENGLISH:
        config = paths.predictor / CONFIG if paths.predictor else None
        options = replace(options, split=trained_split(model, paths.predictor_config or config))
    if options.split == "punkt" and not sent_tokenize.has_data():
        notify(sent_tokenize.NO_DATA)
    return replace(text, options=options)


def without_loops(
    options: GenerationOptions, model: str, paths: ModelPaths | None = None
) -> GenerationOptions:
    """Return the options with the repeat threshold of a model that is known to repeat itself.

    >>> without_loops(GenerationOptions(), "1.3b").repeat_threshold
    0.95
    >>> without_loops(GenerationOptions(repeat_threshold=2), "1.3b").repeat_threshold
    2
    """
    if options.repeat_threshold is not None:
        return options
    config = paths.predictor / CONFIG if paths and paths.predictor else None
    known = repeat_threshold(model, paths.predictor_config or config if paths else None)
    return replace(options, repeat_threshold=known)
