"""NLTK's Punkt, the sentence tokenizer of Kiss and Strunk (2006), set up for a language."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from sonar_cli.text.rules import Rules

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer


@cache
def tokenizer(rules: Rules) -> PunktSentenceTokenizer:
    """Return Punkt for a language's rules.

    Its parameters are those of NLTK's trained model if the data is on this machine, with the
    abbreviations of `rules`, else all word lists of `rules`.
    """
    import nltk.data
    from nltk.tokenize.punkt import (
        _ORTHO_BEG_UC,
        _ORTHO_MID_LC,
        PunktLanguageVars,
        PunktParameters,
        PunktSentenceTokenizer,
        PunktTokenizer,
    )

    try:
        if not rules.model:
            raise LookupError
        nltk.data.find(f"tokenizers/punkt_tab/{rules.model}/")
        punkt = PunktTokenizer(rules.model)
    except LookupError:
        parameters = PunktParameters()
        parameters.sent_starters.update(rules.starters)
        parameters.collocations.update((word, "##number##") for word in rules.before_numbers)
        for word in rules.starters:
            parameters.add_ortho_context(word, _ORTHO_BEG_UC | _ORTHO_MID_LC)
        punkt = PunktSentenceTokenizer(parameters)
    punkt._params.abbrev_types.update(rules.abbreviations)
    closing = {"re_boundary_realignment": rules.closing}
    variables = type("LanguageVars", (PunktLanguageVars,), closing)()
    # NLTK compiles these patterns with a time limit, which a busy machine may exceed: use `re`.
    flags = re.UNICODE | re.VERBOSE
    variables._re_period_context = re.compile(variables.period_context_re().pattern, flags)
    variables._re_word_tokenizer = re.compile(variables._word_tokenizer_re().pattern, flags)
    punkt._lang_vars = variables
    return punkt
