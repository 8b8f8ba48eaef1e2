"""NLTK's Punkt, the sentence tokenizer of Kiss and Strunk (2006), set up for a language."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from sonar_cli.text.rules import Rules

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktLanguageVars, PunktSentenceTokenizer


@cache
def tokenizer(rules: Rules) -> PunktSentenceTokenizer:
    """Return Punkt for a language's rules.

    Its parameters are those of NLTK's trained model if the data is on this machine, with the
    abbreviations of `rules`, else all word lists of `rules`.
    """
    from nltk.tokenize.punkt import (
        _ORTHO_BEG_UC,
        _ORTHO_MID_LC,
        PunktLanguageVars,
        PunktParameters,
        PunktSentenceTokenizer,
        PunktTokenizer,
    )

    if rules.model and has_data(rules.model):
        punkt = PunktTokenizer(rules.model)
    else:
        parameters = PunktParameters()
        parameters.sent_starters.update(rules.starters)
        parameters.collocations.update((word, "##number##") for word in rules.before_numbers)
        for word in rules.starters:
            parameters.add_ortho_context(word, _ORTHO_BEG_UC | _ORTHO_MID_LC)
        punkt = PunktSentenceTokenizer(parameters)
    punkt._params.abbrev_types.update(rules.abbreviations)
    closing = {"re_boundary_realignment": rules.closing}
    punkt._lang_vars = compiled(type("LanguageVars", (PunktLanguageVars,), closing)())
    return punkt


def has_data(model: str) -> bool:
    """Tell whether NLTK's trained parameters of a name (`punkt_tab`) are on this machine."""
    import nltk.data

    try:
        nltk.data.find(f"tokenizers/punkt_tab/{model}/")
    except LookupError:
        return False
    return True


def compiled(variables: PunktLanguageVars) -> PunktLanguageVars:
    """Compile the patterns of Punkt's variables with `re`, and return these.

    NLTK compiles them with a time limit, which a busy machine may exceed.
    """
    flags = re.UNICODE | re.VERBOSE
    variables._re_period_context = re.compile(variables.period_context_re().pattern, flags)
    variables._re_word_tokenizer = re.compile(variables._word_tokenizer_re().pattern, flags)
    return variables
