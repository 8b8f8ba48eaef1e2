"""The measures of continuations, held to writers whose answer is known, and to real systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from sonar_cli.errors import UsageError
from sonar_cli.evaluation import continued
from sonar_cli.evaluation.paper import quality
from sonar_cli.evaluation.paper.quality import Quality, measure
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions, Step, StopReason
from sonar_cli.pipeline import generate_many
from sonar_cli.world import branching, stories
from tests.evaluation.paper.four import KINDS, QUICK, codec, system

TEXTS = [
    *(list(each.sentences) for each in stories.stories(3, 5, held_out=True)),
    *(list(each.sentences) for each in branching.stories(2, 5, held_out=True)),
]
Writer = Callable[[list[str]], tuple[Sequence[str], StopReason]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Quality]:
    """Measure a token-level model that continues texts by what `writer` says of what follows."""

    def run(writer: Writer, texts: list[list[str]] = TEXTS, **more: Any) -> Quality:
        def write_many(
            _: Any, prompts: list[tuple[str, ...]], options: GenerationOptions, batch_size: int
        ) -> Iterator[tuple[int, Step]]:
            for number, prompt in reversed(list(enumerate(prompts))):  # in any order
                (text,) = [each for each in texts if tuple(each[: len(prompt)]) == prompt]
                sentences, reason = writer(text[len(prompt) :])
                for index, new in enumerate(sentences[: options.sentences]):
                    yield number, Step(index, new, None, None, 0.0)
                short = len(sentences) >= options.sentences
                yield number, Step(None, None, None, None, 0.0, "length" if short else reason)

        monkeypatch.setattr(continued, "write_many", write_many)
        return measure(TokenLLMSystem(None, None), texts, **more)  # type: ignore[arg-type]

    return run


def test_the_true_texts_reach_everything(measured: Callable[..., Quality]) -> None:
    found = measured(lambda follow: (follow, "end"))
    for name in ("bleu", "rouge_l"):
        assert found.values[f"{name}_two"] == found.values[f"{name}_half"] == 1
    assert 0.98 < found.values["meteor_two"] < 1 and 0.98 < found.values["meteor_half"] < 1
    whole = {"ends": 1, "repeats": 0, "name": 1, "grammar": 1}
    assert {name: found.values[name] for name in whole} == whole
    for size in (1, 2, 3):
        assert found.values[f"distinct_{size}"] == found.values[f"true_distinct_{size}"] < 1
    assert "fidelity" not in found.values
    for name, each in found.by_text.items():
        assert each.shape == (len(TEXTS),) and each.mean() == found.values[name]


def test_what_goes_wrong_counts(measured: Callable[..., Quality]) -> None:
    found = measured(lambda follow: (["Rain reinsured the the kite."] * 40, "end"))
    assert found.values["bleu_two"] < 0.2 and found.values["rouge_l_two"] < 0.4
    whole = {"ends": 0, "repeats": 1, "name": 0, "grammar": 0}
    assert {name: found.values[name] for name in whole} == whole
    assert found.values["distinct_1"] < 0.02 < found.values["true_distinct_1"]
    nothing = measured(lambda follow: ([], "end"))
    assert nothing.values["bleu_two"] == nothing.values["meteor_half"] == 0
    assert nothing.values["rouge_l_two"] == nothing.values["grammar"] == 0
    assert nothing.values["ends"] == 1 and nothing.values["distinct_2"] == 0
    repeated = measured(lambda follow: (follow, "repetition"))
    assert repeated.values["ends"] == 0


def test_prefixes_and_first_sentences_are_the_authors(measured: Callable[..., Quality]) -> None:
    texts = [[f"{word} {n} went home." for n in range(length)]
             for word, length in (("A", 3), ("B", 7), ("C", 2))]  # fmt: skip
    asked: list[int] = []

    def writer(follow: list[str]) -> tuple[Sequence[str], StopReason]:
        asked.append(len(follow))
        return [f"{follow[0]} And more.", "Z."], "end"

    found = measured(writer, texts, of_world=False)
    # Prefixes of two, then of max(1, n // 2); the text of two sentences is left out.
    assert sorted(asked[:2]) == [1, 5] and sorted(asked[2:]) == [2, 4]
    assert found.values["bleu_two"] == found.values["bleu_half"] == 1
    assert "grammar" not in found.values and "name" not in found.values
    with pytest.raises(UsageError, match="more than 2 sentences"):
        measured(writer, [texts[2]])


def test_each_text_has_its_own_values(measured: Callable[..., Quality]) -> None:
    first = TEXTS[0]
    found = measured(lambda follow: (follow if follow[-1] == first[-1] else ["He ran."], "end"))
    assert found.by_text["bleu_two"][0] == 1 and (found.by_text["bleu_two"][1:] < 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_system_is_measured(kind: str) -> None:
    options = GenerationOptions(
        sentences=2, seed=1, max_tokens=12, diffusion_steps=3, beam_size=1, stop_threshold=2.0
    )
    seen: list[int] = []
    found = measure(
        system(kind), TEXTS[:2], options, batch_size=2,
        progress=lambda prompts, total: [seen.append(total) or each for each in prompts],
    )  # fmt: skip
    assert seen == [2] * 4
    authors = {f"{m}_{p}" for m in ("bleu", "rouge_l", "meteor") for p in ("two", "half")}
    assert authors <= set(found.by_text)
    assert ("fidelity" in found.values) is (kind != "llm")
    assert all(-1 <= value <= 1 for value in found.values.values())
    again = measure(system(kind), TEXTS[:2], options, batch_size=1)
    assert again.values == pytest.approx(found.values, abs=1e-3)


def test_fidelity_is_that_of_the_first_step() -> None:
    found: Any = system("sonar-llm")
    given = [text[:2] for text in TEXTS]
    options = GenerationOptions(sentences=1, beam_size=2, max_tokens=12, stop_threshold=2.0)
    steps = generate_many(found, given, options, len(given))
    expected = {number: step.fidelity for number, step in steps if step.text is not None}
    values = quality.fidelity(found, given, options)
    np.testing.assert_allclose(values, [expected[n] for n in range(len(given))], atol=1e-3)


def test_fidelity_of_vectors_of_real_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    true = codec().encode([text[2] for text in TEXTS])
    rows = true.repeat_interleave(2, 0)[None]  # at the two places of each text
    monkeypatch.setattr(quality, "foretold", lambda *_: rows)
    values = quality.fidelity(system("lcm-mse"), [text[:2] for text in TEXTS], QUICK)  # type: ignore[arg-type]
    assert values.shape == (len(TEXTS),) and values.min() > 0.95
