"""The three tasks: texts in, a result each out, in their order.

A result is the fields that go beside those of the input's record: those of the task, or `error`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from sonar_cli.errors import SonarError, UsageError
from sonar_cli.options import GenerationOptions, Step, Summary, SummaryOptions, SummarySentence

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM
    from sonar_cli.text.inputs import Text

Result = dict[str, Any]
# Told how many sentences were too long for the encoder and were cut.
OnCut = Callable[[int], None]
ERROR = "error"

# Decimals of cosines and the like. The last bits of a float32 depend on the texts that share a
# batch, and so on the size of batches and shards.
_DECIMALS = 4


@dataclass(frozen=True)
class Continue:
    """Continue each text; its result is `continuation`, a list of sentences, and `stop_reason`."""

    options: GenerationOptions
    name: ClassVar = "continue"
    fields: ClassVar = ("continuation", "stop_reason")

    def predicts(self, model: str) -> bool:
        """Whether the predictor of this model is needed."""
        return True

    def prepare(self, llm: SonarLLM) -> None:
        """Load what is needed; raise UsageError for what this model cannot be asked for."""
        _check_languages(llm, self.options)
        llm.load_predictor()
        self.options.drawing(llm.drawing)

    def results(self, llm: SonarLLM, texts: Sequence[Text], on_cut: OnCut) -> Iterator[Result]:
        """Yield the result of each text."""
        split = [_sentences(llm, each) for each in texts]
        prompts = [each for each in split if not isinstance(each, SonarError)]
        steps = in_turn(llm.continue_many(prompts, self._seeded(llm), on_cut))
        for each in split:
            yield _failed(each) if isinstance(each, SonarError) else self._result(next(steps))

    def _seeded(self, llm: SonarLLM) -> GenerationOptions:
        """Return the options with a seed: a shard that is made again is to be the same."""
        if self.options.drawing(llm.drawing).seed is None:
            return replace(self.options, seed=0)
        return self.options

    def _result(self, steps: Sequence[Step]) -> Result:
        *written, ended = steps
        langs = self.options.target_langs
        sentences = [
            {
                "text": text,
                "similarity_to_end": _rounded(step.similarity_to_end),
                "fidelity": _rounded(step.fidelity),
                **lang,
            }
            for number, lang in enumerate(_langs(langs))
            for step in written
            for text in [step.texts[number] if step.texts else step.text]
        ]
        return {"continuation": sentences, "stop_reason": ended.stop_reason}


@dataclass(frozen=True)
class Summarize:
    """Sum up each text; its result is `summary`, a list of sentences with their sources."""

    options: SummaryOptions
    name: ClassVar = "summarize"
    fields: ClassVar = ("summary",)

    def predicts(self, model: str) -> bool:
        """Whether the predictor of this model is needed."""
        from sonar_cli.summary.plan import may_write

        return may_write(model, self.options)

    def prepare(self, llm: SonarLLM) -> None:
        """Raise UsageError for what this model cannot be asked for."""
        _check_languages(llm, self.options)
        llm.summary_training(self.options)

    def results(self, llm: SonarLLM, texts: Sequence[Text], on_cut: OnCut) -> Iterator[Result]:
        """Yield the result of each text. No sentence is cut: long ones are split."""
        from sonar_cli.text.inputs import together

        for some in together(texts):
            for document in llm.read(some, self.options):
                try:
                    if isinstance(document, SonarError):
                        raise document
                    yield self._result(llm.summarize(document, self.options))
                except UsageError:
                    raise
                except SonarError as error:
                    yield _failed(error)

    def _result(self, summary: Summary) -> Result:
        return {
            "summary": [
                self._sentence(each, number, lang)
                for number, lang in enumerate(_langs(self.options.target_langs))
                for each in summary.sentences
            ]
        }

    def _sentence(self, said: SummarySentence, number: int, lang: dict[str, str]) -> Result:
        return {
            "text": said.texts[number] if said.texts else said.text,
            **lang,
            "heading": said.heading,
            "method": said.method,
            "support": said.support,
            "sources": [asdict(source) for source in said.sources],
        }


@dataclass(frozen=True)
class Encode:
    """Encode each text; its result is `sentences` and their `vectors` (N, D) float32."""

    name: ClassVar = "encode"
    fields: ClassVar = ("sentences", "vectors")

    def predicts(self, model: str) -> bool:
        """Whether the predictor of this model is needed."""
        return False

    def prepare(self, llm: SonarLLM) -> None:
        """Do nothing: all that is needed is loaded."""

    def results(self, llm: SonarLLM, texts: Sequence[Text], on_cut: OnCut) -> Iterator[Result]:
        """Yield the result of each text; the vectors are a NumPy array."""
        split = [_sentences(llm, each) for each in texts]
        good = [each for each in split if not isinstance(each, SonarError)]
        every = [sentence for each in good for sentence in each]
        if every:
            vectors = llm.encode(every, texts[0].options.lang, on_cut).numpy()
        start = 0
        for each in split:
            if isinstance(each, SonarError):
                yield _failed(each)
            else:
                end = start + len(each)
                yield {"sentences": each, "vectors": vectors[start:end]}
                start = end


Task = Continue | Summarize | Encode


def in_turn(steps: Iterable[tuple[int, Step]]) -> Iterator[list[Step]]:
    """Yield the Steps of each text, one text after the other.

    >>> made = [(1, "c"), (0, "a"), (1, None), (0, None)]
    >>> steps = [(n, Step(0, text, 0, 0, 0, None if text else "end")) for n, text in made]
    >>> [[step.text for step in own] for own in in_turn(steps)]
    [['a', None], ['c', None]]
    """
    from sonar_cli.pipeline import in_order

    for _, own in groupby(in_order(steps), key=lambda each: each[0]):
        yield [step for _, step in own]


def _sentences(llm: SonarLLM, text: Text) -> list[str] | SonarError:
    """Return a text's sentences, or the error of a text that cannot be read."""
    try:
        found = [each.text for each in llm.as_trained(text).sentences()]
    except UsageError:
        raise
    except SonarError as error:
        return error
    return found or SonarError("there is no sentence in the text")


def _check_languages(llm: SonarLLM, options: GenerationOptions | SummaryOptions) -> None:
    llm.check_languages(options.source_lang, *options.target_langs)


def _langs(asked: Sequence[str]) -> list[dict[str, str]]:
    """Return a `lang` for each language asked for, and without any a place without one."""
    return [{"lang": each} for each in asked] or [{}]


def _failed(error: SonarError) -> Result:
    return {ERROR: str(error)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)
