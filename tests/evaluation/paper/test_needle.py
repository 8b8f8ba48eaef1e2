"""The needle: where it is, that no test's is in training, and what counts as found."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.needle import measure, table, wilson
from sonar_cli.evaluation.report import Report
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec
from sonar_cli.model.shapes import (
    LCMConfig,
    PredictorConfig,
    TokenLLMConfig,
    TwoTowerConfig,
)
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import PLAIN, GenerationOptions
from sonar_cli.pipeline import write_many
from sonar_cli.training.recipe import Recipe
from sonar_cli.training.tables import Data
from sonar_cli.training.texts import documents
from sonar_cli.world.needle import ANSWER, KEYS, NEEDLE, QUESTION, VALUES, Case, cases, text
from sonar_cli.world.stories import accepts

STACK = {"hidden": 32, "ffn": 48, "layers": 1, "heads": 2, "kv_heads": 2, "head_dim": 16}


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    codec = load_codec(resolve())
    assert isinstance(codec, NativeCodec)
    return codec


def _slots(pattern: str, sentence: str) -> dict[str, str] | None:
    names = re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\w+)", re.escape(pattern))
    found = re.fullmatch(names, sentence)
    return found.groupdict() if found else None


def _facts(text: Sequence[str]) -> tuple[int, tuple[str, str, str]]:
    """Return where a text's only needle is, and its name, jewel and box."""
    ((at, slots),) = [
        (at, found) for at, each in enumerate(text) if (found := _slots(NEEDLE, each))
    ]
    return at, (slots["name"], slots["thing"], slots["box"])


def test_a_case_asks_for_what_its_needle_says() -> None:
    for case in cases(2, lengths=[16, 40], depths=[0.0, 0.3, 0.9]):
        *context, question = case.prompt
        at, (name, thing, box) = _facts(context)
        assert at == int(case.depth * len(context) + 1e-9) and len(context) == case.sentences
        asked, answered = _slots(QUESTION, question), _slots(ANSWER, case.answer)
        assert asked is not None and answered is not None
        assert (asked["name"], asked["thing"]) == (name, thing)
        assert answered == {"animal": asked["animal"], "box": box, "thing": thing}
        assert case.value == box and case.is_answered_by(case.answer)
        others = " ".join([*context[:at], *context[at + 1 :]])
        assert not set(KEYS) & set(re.findall(r"\w+", others))


def test_all_lengths_and_depths_and_always_the_same() -> None:
    made = list(cases(1, lengths=[16, 1024]))
    assert [(each.sentences, each.depth) for each in made] == [
        (length, tenth / 10) for length in (16, 1024) for tenth in range(10)
    ]
    assert made[:10] == list(cases(1, lengths=[16]))
    assert made[:10] != list(cases(1, lengths=[16], seed=1))
    assert text(3, 40) == text(3, 40) != text(4, 40)


def _told(texts: Sequence[Sequence[str]]) -> set[tuple[str, str, str]]:
    """Return the name, jewel and box of every fact that is told."""
    found = (_slots(NEEDLE, each) for text in texts for each in text)
    return {(each["name"], each["thing"], each["box"]) for each in found if each}


def test_no_combination_of_the_tests_is_for_training() -> None:
    tested = _told([each.prompt for each in cases(30, [1], [0.0])])
    trained = _told([text(number, 12) for number in range(2_000)])
    assert len(tested) > 25 and len(trained) > 1_500 and not tested & trained
    # Every jewel, every box and nearly every pair of them is known from training.
    assert {thing for _, thing, _ in trained} == set(KEYS)
    assert {box for *_, box in trained} == set(VALUES)


def test_what_a_training_text_asks_for_was_told_before() -> None:
    for number in range(200):
        told: dict[str, str] = {}
        asked = 0
        whole = text(number, 66)
        for at, sentence in enumerate(whole):
            if fact := _slots(NEEDLE, sentence):
                assert fact["thing"] not in told
                told[fact["thing"]] = fact["box"]
            elif (question := _slots(QUESTION, sentence)) and question["thing"] in KEYS:
                answer = _slots(ANSWER, whole[at + 1])
                assert answer is not None
                assert answer["thing"] == question["thing"]
                assert answer["box"] == told[question["thing"]]
                asked += 1
        assert asked == len(told) == max(1, len(whole) // 8) and 8 <= len(whole) <= 66


def test_training_texts_of_every_order_of_length() -> None:
    lengths = [len(text(number, 128)) for number in range(600)]
    of_order = [sum(low <= each < 2 * low for each in lengths) for low in (8, 16, 32, 64)]
    assert min(of_order) > 100 and sum(of_order) >= 590
    assert {len(text(number, 4)) for number in range(50)} == {4}


def test_the_texts_are_data_to_train_on() -> None:
    data = Data(path="needle", stories=5, max_sentences=66)
    assert list(documents(data, print)) == [text(number, 66) for number in range(5)]
    for wrong in ({"max_sentences": 3}, {"summaries": True}):
        with pytest.raises(UsageError, match="has no summaries"):
            Recipe("llm", data=replace(data, **wrong))


def test_the_embedded_codec_carries_the_needle(codec: NativeCodec) -> None:
    asked = list(cases(60, [1], [0.0]))
    for sentences in ([each.prompt[0] for each in asked], [each.answer for each in asked]):
        assert all(accepts(each) for each in sentences)
        back = codec.decode(codec.encode(sentences))
        exact = [new.text == old for new, old in zip(back, sentences, strict=True)]
        assert sum(exact) >= 0.95 * len(exact)


class _Oracle:
    """A system that gives some answers right, those of its `known` cases, and others not."""

    def __init__(self, codec: NativeCodec, known: Sequence[Case]) -> None:
        self.codec = codec
        self.answers = {case.prompt: case.answer for case in known}
        self.feeds_back = "sentence"
        self.drawing = PLAIN
        self.end = codec.encode(["End of sequence."])
        self.rows: list[str] = []

    def start(self, options: GenerationOptions) -> _Oracle:
        assert options.sentences == 1
        self.rows = []
        return self

    def open(self, texts, on_truncated=None) -> None:
        self.rows += [self.answers.get(text, "They ate cheese.") for text in texts]

    def propose(self, random) -> Tensor:
        return self.codec.encode(self.rows)

    def read(self, vectors: Tensor) -> None:
        raise AssertionError("one sentence is enough")

    def stops(self, new, to_end, written) -> None:
        return None

    def keep(self, rows: list[int]) -> None:
        self.rows = [self.rows[row] for row in rows]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_right_answers_are_counted_by_length_and_depth(codec: NativeCodec, batch_size: int) -> None:
    asked = list(cases(3, [2, 5], [0.0, 0.5]))
    known = asked[:3] + asked[4:5] + asked[6:7]
    seen: list[Case] = []

    def progress(waiting):
        for case in waiting:
            seen.append(case)
            yield case

    records = measure(_Oracle(codec, known), asked, None, batch_size, progress)  # type: ignore[arg-type]
    assert seen == asked
    found = [(each["sentences"], each["depth"], each["right"], each["cases"]) for each in records]
    assert found == [
        (2, 0.0, 3, 3), (2, 0.5, 1, 3), (2, None, 4, 6),
        (5, 0.0, 1, 3), (5, 0.5, 0, 3), (5, None, 1, 6),
    ]  # fmt: skip
    assert (records[1]["low"], records[1]["high"]) == wilson(1, 3)
    lines = Report([table(records)]).markdown().splitlines()
    assert lines[3] == "| 2 | 50 % | 3 | 33.3 % (6.1 % to 79.2 %) |"
    assert lines[4].startswith("| 2 | all | 6 | 66.7 % (")


def _systems(codec: NativeCodec):
    vocabulary, width = codec.tokenizer.vocab_size, codec.width
    two_tower = TwoTowerLCM(TwoTowerConfig(embed_dim=width, denoiser_layers=1, **STACK))
    return {
        "sonar-llm": SonarLLMSystem(codec, Predictor(PredictorConfig(embed_dim=width, **STACK))),
        "lcm-mse": LCMMSESystem(codec, BaseLCM(LCMConfig(embed_dim=width, **STACK)).eval()),
        "lcm-diffusion": LCMDiffusionSystem(codec, two_tower.eval()),
        "llm": TokenLLMSystem(
            codec.tokenizer, TokenLLM(TokenLLMConfig(vocab_size=vocabulary, **STACK))
        ),
    }


@pytest.mark.parametrize("kind", ["sonar-llm", "lcm-mse", "lcm-diffusion", "llm"])
def test_every_kind_of_system_can_be_asked(codec: NativeCodec, kind: str) -> None:
    system = _systems(codec)[kind]
    options = GenerationOptions(max_tokens=12, beam_size=1, seed=0, diffusion_steps=2)
    asked = list(cases(2, [3, 6], [0.5]))
    right = [False] * len(asked)
    one = replace(options, sentences=1)
    for number, step in write_many(system, [each.prompt for each in asked], one):
        if step.text is not None:
            right[number] = asked[number].is_answered_by(step.text)
    records = measure(system, asked, options, batch_size=3)
    assert [each["right"] for each in records if each["depth"] is None] == [
        sum(right[:2]), sum(right[2:]),
    ]  # fmt: skip
    assert [each["cases"] for each in records] == [2, 2, 2, 2]


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (499, 500)])
def test_both_ends_of_the_interval_are_as_far_as_1_96_deviations(right: int, count: int) -> None:
    for end in wilson(right, count):
        distance = abs(right / count - end)
        if 0 < end < 1:
            assert distance == pytest.approx(1.96 * math.sqrt(end * (1 - end) / count))
        else:
            assert distance == pytest.approx(0.0, abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)
