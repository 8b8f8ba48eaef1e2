"""How well the four systems continue held-out texts: the authors' measures, and ours.

The authors give a text's first two sentences, or its first half, and compare the first sentence
that is written with the true one by BLEU, ROUGE-L and METEOR. Source: evaluate_nlg.py and
generate.py of FusionBrainLab/SONAR-LLM. Ours are of whole continuations of two sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.continuations import distinct
from sonar_cli.evaluation.continued import TOGETHER, continued
from sonar_cli.evaluation.metrics import keeps_name, meteor_of, repeats, rouge_l, share, words
from sonar_cli.evaluation.paper.places import (
    Floats,
    Progress,
    VectorSystem,
    batches,
    foretold,
    native_codec,
)
from sonar_cli.model.load import AnySystem
from sonar_cli.model.sampling import generator
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.text.sentences import split
from sonar_cli.world.grammar import accepts
from sonar_cli.world.words import BOYS, GIRLS

# Sentences of a text that are given.
GIVEN = 2
_NAMES = frozenset((*GIRLS, *BOYS))


@dataclass(frozen=True)
class Quality:
    """Measures by name, and for most of them the values (texts,) whose mean they are.

    The texts are the same for every system, so that differences can be taken text by text.
    """

    values: dict[str, float]
    by_text: dict[str, Floats]


@dataclass(frozen=True)
class Continued:
    """A text in parts: what is `given`, what follows it in truth, and what a system has written.

    `ended` tells whether the system itself ended the text.
    """

    given: tuple[str, ...]
    follow: tuple[str, ...]
    written: tuple[str, ...]
    ended: bool


def measure(
    system: AnySystem,
    texts: Sequence[Sequence[str]],
    options: GenerationOptions | None = None,
    of_world: bool = True,
    batch_size: int = TOGETHER,
    progress: Progress | None = None,
) -> Quality:
    """Measure how a system continues texts, which are lists of sentences.

    Texts of fewer than three sentences are left out.

    The authors' measures are `bleu`, `rouge_l` and `meteor`, in [0, 1], of the first sentence after
    two given ones (`bleu_two` and so on) and after `max(1, n // 2)` of n (`bleu_half`).

    Ours are of up to `options.sentences` sentences (by default 32) after the first two: `ends` is
    the share of texts that the system ends itself, `repeats` the share that say a sentence again,
    `distinct_1` to `distinct_3` the different words, pairs and triples of words divided by all.
    These fall with the length of what is written, so `true_distinct_1` to `true_distinct_3` have
    the same of as many words of the true continuations. `fidelity` is the mean cosine of the
    vector that is predicted after the two given sentences to that of the sentence decoded from
    it; a token-level Llama has none. Where texts are `of_world`, that is stories of the story
    world or of the branching one, `grammar` is the share of written sentences that their grammar
    accepts, and `name` that of texts which keep the name of the main character.

    Raises UsageError where no text has three sentences, for the fidelity of a codec that is not
    ours, and where rouge-score is missing. Without WordNet METEOR finds no synonyms.
    """
    options = options or GenerationOptions(seed=0)
    texts = [text for text in texts if len(text) > GIVEN]
    if not texts:
        raise UsageError(f"no text has more than {GIVEN} sentences, so there is none to continue")
    # The end of a sentence may show by the next one only.
    short = replace(options, sentences=min(2, options.sentences))
    halves = [max(1, len(text) // 2) for text in texts]
    whole = continued_from(system, texts, [GIVEN] * len(texts), options, batch_size, progress)
    half = continued_from(system, texts, halves, short, batch_size, progress)
    by_text = {f"{name}_two": each for name, each in _first_sentences(whole).items()}
    by_text |= {f"{name}_half": each for name, each in _first_sentences(half).items()}
    by_text |= _whole_texts(whole, of_world)
    if not isinstance(system, TokenLLMSystem):
        by_text["fidelity"] = fidelity(system, [each.given for each in whole], options)
    values = {name: float(each.mean()) for name, each in by_text.items()}
    if of_world:
        values["grammar"] = share(accepts(new) for each in whole for new in each.written)
    return Quality(values | _variety(whole), by_text)


def continued_from(
    system: AnySystem,
    texts: Sequence[Sequence[str]],
    given: Sequence[int],
    options: GenerationOptions,
    batch_size: int = TOGETHER,
    progress: Progress | None = None,
) -> list[Continued]:
    """Continue the first `given[i]` sentences of text i, `batch_size` texts side by side."""
    prompts = [tuple(text[:count]) for text, count in zip(texts, given, strict=True)]
    waiting = progress(prompts, len(prompts)) if progress else prompts
    made = continued(system, waiting, options, batch_size)
    return [
        Continued(prompt, tuple(text[len(prompt) :]), *new)
        for prompt, text, new in zip(prompts, texts, made, strict=True)
    ]


def first_sentence(sentences: Sequence[str]) -> str:
    """Return the first sentence of some joined by spaces, as our splitter finds it; "" of none.

    >>> first_sentence(["He ran. He fell.", "It rained."]), first_sentence([])
    ('He ran.', '')
    """
    found = split(" ".join(sentences))
    return found[0].text if found else ""


def bleu(reference: str, text: str) -> float:
    """Return BLEU-4 in [0, 1] of words parted at spaces, by NLTK's smoothing method 4.

    >>> bleu("Tom saw a red kite.", "Tom saw a red kite."), bleu("Tom saw a red kite.", "")
    (1.0, 0.0)
    >>> round(bleu("Tom saw a red kite.", "Tom saw a kite."), 4)
    0.3611
    """
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method4
    return float(sentence_bleu([reference.split()], text.split(), smoothing_function=smoothing))


def meteor(reference: str, text: str) -> float:
    """Return METEOR in [0, 1] of words parted at spaces, with NLTK's default parameters.

    A mark stays with its word, unlike in `metrics.meteor`. NLTK itself compares in lower case.

    >>> round(meteor("Tom saw a kite.", "tom saw a kite"), 4)
    0.7361
    """
    return meteor_of(reference.split(), text.split())


def _first_sentences(texts: Sequence[Continued]) -> dict[str, Floats]:
    """Return the authors' three measures of the first sentences written, each (texts,)."""
    pairs = [(first_sentence(each.follow), first_sentence(each.written)) for each in texts]
    scores = {"bleu": bleu, "rouge_l": rouge_l, "meteor": meteor}
    return {
        name: np.array([score(true, new) for true, new in pairs]) for name, score in scores.items()
    }


def _whole_texts(texts: Sequence[Continued], of_world: bool) -> dict[str, Floats]:
    """Return what of each whole continuation is either so or not, each (texts,) of 0 and 1."""
    found = {
        "ends": [each.ended for each in texts],
        "repeats": [repeats(each.given, each.written) for each in texts],
    }
    if of_world:
        found["name"] = [
            keeps_name(main_character(each.given), each.written, _NAMES) for each in texts
        ]
    return {name: np.array(each, np.float64) for name, each in found.items()}


def main_character(given: Sequence[str]) -> str:
    """Return the first name of the story world in some sentences, "" where there is none.

    >>> main_character(["One day Lily found a kite.", "Lily was glad."])
    'Lily'
    """
    return next((word for each in given for word in words(each) if word in _NAMES), "")


def _variety(texts: Sequence[Continued]) -> dict[str, float]:
    """Return distinct-1 to distinct-3 of what was written, and of as much that truly follows."""
    found: dict[str, float] = {}
    for size in (1, 2, 3):
        ours = [each for text in texts for each in grams(text.written, size)]
        true = [each for text in texts for each in grams(text.follow, size)]
        found[f"distinct_{size}"] = distinct(ours)
        found[f"true_distinct_{size}"] = distinct(true[: len(ours)])
    return found


def grams(sentences: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield the `size` words in lower case that follow each other anywhere in a text.

    >>> list(grams(["Tom ran.", "He fell."], 3))
    [('tom', 'ran', 'he'), ('ran', 'he', 'fell')]
    """
    small = [word.lower() for sentence in sentences for word in words(sentence)]
    return zip(*(small[start:] for start in range(size)), strict=False)


@torch.inference_mode()
def fidelity(
    system: VectorSystem, given: Sequence[Sequence[str]], options: GenerationOptions
) -> Floats:
    """Return the cosine (texts,) of a predicted vector to that of the sentence decoded from it.

    The vector is the one predicted after all `given` sentences of a text.
    """
    codec, random = native_codec(system), generator(options.seed)
    found: list[Floats] = []
    for together in batches(given, TOGETHER):
        # The place after the last given sentence is that before one more.
        texts = [[*text, ""] for text in together]
        ends = np.cumsum([len(text) for text in together]) - 1
        predicted = foretold(system, texts, 1, random, options)[0, ends.tolist()]
        decoded = codec.decode(
            predicted, beam_size=options.beam_size, max_tokens=options.max_tokens
        )
        again = codec.encode([each.text for each in decoded])
        found.append(F.cosine_similarity(again, predicted).double().cpu().numpy())
    return np.concatenate(found)
