"""The loop: what is written, when it stops, and what the noise does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.base import Decoded
from sonar_cli.model.load import load_system
from sonar_cli.model.sampling import Sampling
from sonar_cli.model.shapes import PredictorConfig
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.options import PLAIN, Drawing, GenerationOptions, Runtime, Step
from sonar_cli.pipeline import Batch, Opening, generate, generate_many

STORY = ["One.", "Two.", "Three.", "Four.", "End of sequence."]


@dataclass
class Book:
    """A codec over a fixed list of sentences: each one has its own direction."""

    sentences: list[str] = field(default_factory=lambda: ["Begin of text.", *STORY])
    batches: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vectors = torch.eye(len(self.sentences))

    def encode(
        self, sentences: Sequence[str], lang: str = "eng_Latn", on_truncated: object = None
    ) -> Tensor:
        return self.vectors[[self.sentences.index(each) for each in sentences]]

    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        sampling: Sampling | None = None,
    ) -> list[Decoded]:
        self.batches.append(len(vectors))
        cosines = torch.nn.functional.normalize(vectors, dim=1) @ self.vectors.T
        best = cosines.argmax(1).tolist()
        return [
            Decoded(self.sentences[i], (i,), float(c[i]))
            for i, c in zip(best, cosines, strict=True)
        ]


class Successor(Predictor):
    """A predictor that knows nothing but which sentence follows which."""

    def __init__(self, size: int, following: dict[int, int] | None = None) -> None:
        super().__init__(
            PredictorConfig(
                embed_dim=size, hidden=size, ffn=8, layers=0, heads=1, kv_heads=1, head_dim=8
            )
        )
        following = following or {i: min(i + 1, size - 1) for i in range(size)}
        self.reverse_proj.weight.data.zero_()
        self.reverse_proj.bias.data.zero_()
        for before, after in following.items():
            self.reverse_proj.weight.data[after, before] = 1.0
        self.forward_proj.weight.data.copy_(torch.eye(size))
        self.forward_proj.bias.data.zero_()
        self.seen: list[int] = []

    def hidden(self, vectors: Tensor, cache=None) -> Tensor:
        self.seen.append(vectors.shape[1])
        return super().hidden(vectors, cache)


def _model(following: dict[int, int] | None = None) -> SonarLLMSystem:
    book = Book()
    return SonarLLMSystem(book, Successor(len(book.sentences), following))  # type: ignore[arg-type]


def _texts(steps: Sequence[Step]) -> list[str | None]:
    return [step.text for step in steps]


def test_stops_at_the_end_sentence_and_drops_it() -> None:
    steps = list(generate(_model(), ["One."]))
    assert _texts(steps) == ["Two.", "Three.", "Four.", None]
    assert [step.index for step in steps] == [0, 1, 2, None]
    assert [step.stop_reason for step in steps] == [None, None, None, "end"]
    assert steps[-1].similarity_to_end == pytest.approx(1.0)
    assert all(step.fidelity == pytest.approx(1.0) for step in steps)


def test_a_text_that_ends_at_once() -> None:
    (only,) = generate(_model(), ["Four."])
    assert (only.index, only.text, only.stop_reason) == (None, None, "end")


def test_stops_at_the_length() -> None:
    steps = list(generate(_model(), ["One."], GenerationOptions(sentences=2)))
    assert _texts(steps) == ["Two.", "Three.", None]
    assert steps[-1].stop_reason == "length"


def test_a_new_sentence_costs_one_position() -> None:
    model = _model()
    list(generate(model, ["One.", "Two."]))
    assert model.predictor.seen == [2, 1, 1]  # type: ignore[attr-defined]


def test_repetition_is_dropped_when_asked() -> None:
    model = _model({1: 2, 2: 3, 3: 2})
    steps = list(generate(model, ["One."], GenerationOptions(repeat_threshold=0.99)))
    assert _texts(steps) == ["Two.", "Three.", None]
    assert steps[-1].stop_reason == "repetition"
    unasked = list(generate(model, ["One."], GenerationOptions(sentences=5)))
    assert _texts(unasked) == ["Two.", "Three.", "Two.", "Three.", "Two.", None]


def test_begin_follows_the_option() -> None:
    model = _model()
    list(generate(model, ["One."], GenerationOptions(begin=True, sentences=1)))
    list(generate(model, ["One."], GenerationOptions(begin=False, sentences=1)))
    list(generate(model, ["One."], GenerationOptions(sentences=1)))
    assert model.predictor.seen == [2, 1, 1]  # type: ignore[attr-defined]


def test_nothing_to_continue() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        list(generate(_model(), [], GenerationOptions(begin=False)))


def test_it_yields_as_it_goes() -> None:
    model = _model()
    steps = generate(model, ["One."])
    next(steps)
    assert model.codec.batches == [1]  # type: ignore[attr-defined]


def test_a_seed_gives_the_same_text_and_another_seed_another() -> None:
    def write(seed: int) -> tuple[str | None, ...]:
        options = GenerationOptions(
            temperature=4.0, candidates=3, seed=seed, sentences=6, stop_threshold=2.0
        )
        return tuple(_texts(list(generate(_model(), ["One."], options))))

    assert write(7) == write(7)
    assert len({write(seed) for seed in range(8)}) > 1


def test_candidates_are_decoded_in_one_batch() -> None:
    model = _model()
    options = GenerationOptions(temperature=0.1, candidates=4, seed=1, sentences=2)
    list(generate(model, ["One."], options))
    assert model.codec.batches == [4, 4]  # type: ignore[attr-defined]


def test_a_model_draws_in_its_own_way_unless_told_otherwise() -> None:
    def write(own: Drawing, **options: Any) -> list[str | None]:
        model = _model()
        model.predictor.config = replace(model.predictor.config, drawing=own)
        return _texts(list(generate(model, ["One."], GenerationOptions(seed=7, **options))))

    own = Drawing(temperature=4.0, candidates=3)
    assert write(own) == write(PLAIN, temperature=4.0, candidates=3) != write(PLAIN)
    assert write(own, temperature=0) == write(PLAIN)


def test_small_noise_changes_nothing_here() -> None:
    options = GenerationOptions(temperature=1e-3, seed=3)
    plain, noisy = list(generate(_model(), ["One."])), list(generate(_model(), ["One."], options))
    assert _texts(plain) == _texts(noisy)


def _collected(steps) -> dict[int, list[Step]]:
    texts: dict[int, list[Step]] = {}
    for number, step in steps:
        texts.setdefault(number, []).append(step)
    return texts


def test_a_text_that_ends_leaves_its_place_to_the_next() -> None:
    model = _model()
    prompts = [["One."], ["Four."], ["Three."], ["Two."]]
    written = _collected(generate_many(model, prompts, batch_size=2))
    assert {number: _texts(steps) for number, steps in written.items()} == {
        0: ["Two.", "Three.", "Four.", None],
        1: [None],
        2: ["Four.", None],
        3: ["Three.", "Four.", None],
    }
    assert all(steps[-1].stop_reason == "end" for steps in written.values())
    assert model.codec.batches == [2, 2, 2, 2, 1, 1]  # type: ignore[attr-defined]


def test_texts_are_taken_as_places_become_free() -> None:
    taken = []

    def prompts():
        for number, sentence in enumerate(["Two.", "Four.", "Four.", "Four."]):
            taken.append(number)
            yield [sentence]

    steps = generate_many(_model(), prompts(), batch_size=1)
    next(steps)
    assert taken == [0]
    assert len(_collected(steps)) == 4
    assert list(generate_many(_model(), [], batch_size=3)) == []


@pytest.fixture(scope="module")
def mini() -> SonarLLMSystem:
    return load_system(resolve(), Runtime("cpu"))


PROMPTS = [
    ["One day Lily found a kite."],
    ["Bruno bought a puck at the market on Wednesday.", "He went to the barn."],
    ["Near the pier lived a mechanic named Iris."],
    ["Look!", "A ball.", "It rolled.", "It was red.", "Tom was glad.", "Tom ran home."],
    ["It was a sunny day when Ben came to the wide forest."],
]


@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(sentences=12, token_temperature=0),
        GenerationOptions(sentences=5),
        GenerationOptions(sentences=4, temperature=0.4, candidates=3, top_p=0.9, seed=5),
    ],
    ids=["greedy", "its own way", "drawn"],
)
@pytest.mark.parametrize("batch_size", [2, 5])
def test_side_by_side_as_alone(
    mini: SonarLLMSystem, options: GenerationOptions, batch_size: int
) -> None:
    alone = [list(generate(mini, prompt, options)) for prompt in PROMPTS]
    together = _collected(generate_many(mini, PROMPTS, options, batch_size))
    for number, steps in enumerate(alone):
        ours = together[number]
        assert _texts(ours) == _texts(steps)
        assert [each.index for each in ours] == [each.index for each in steps]
        assert ours[-1].stop_reason == steps[-1].stop_reason
        for one, other in zip(ours[:-1], steps[:-1], strict=True):
            assert one.similarity_to_end == pytest.approx(other.similarity_to_end, abs=1e-4)
            assert one.fidelity == pytest.approx(other.fidelity, abs=1e-4)


@pytest.mark.parametrize("token_temperature", [0, 0.7])
def test_texts_come_and_go_between_turns(mini: SonarLLMSystem, token_temperature: float) -> None:
    """Each with a seed and a length of its own comes out as alone, whoever is dropped."""
    options = GenerationOptions(token_temperature=token_temperature, stop_threshold=2)
    own = [replace(options, seed=seed, sentences=seed + 2) for seed in range(len(PROMPTS))]
    alone = [list(generate(mini, each, how)) for each, how in zip(PROMPTS, own, strict=True)]
    batch, found = Batch(mini, options), []
    for number, (prompt, how) in enumerate(zip(PROMPTS, own, strict=True)):
        found += batch.turn([Opening(number, prompt, how.sentences, how.seed)])
        if number == 3:
            batch.drop({2, 99})
    while len(batch):
        found += batch.turn()
    assert batch.turn() == []
    together = _collected(found)
    assert _texts(together.pop(2)) == _texts(alone[2])[:2]
    for number, steps in together.items():
        assert _texts(steps) == _texts(alone[number])
        assert steps[-1].stop_reason == alone[number][-1].stop_reason


def test_without_reencoding_the_predicted_vectors_go_on(mini: SonarLLMSystem) -> None:
    """The loop equals the predictor run anew, without a cache, on all vectors so far."""
    prompt = PROMPTS[0]
    vectors = mini.codec.encode(["Begin of text.", *prompt])
    expected = []
    with torch.inference_mode():
        for _ in range(6):
            new = mini.predictor(vectors.unsqueeze(0))[0, -1:]
            expected.append(mini.codec.decode(new)[0].text)
            vectors = torch.cat([vectors, new])
    options = GenerationOptions(
        sentences=6, stop_threshold=2.0, reencode=False, token_temperature=0
    )
    steps = list(generate(mini, prompt, options))
    assert _texts(steps) == [*expected, None]
    assert all(step.fidelity is None for step in steps)
    together = _collected(generate_many(mini, PROMPTS, options, 3))
    assert _texts(together[0]) == _texts(steps)
