"""The loop knows no model: it runs a system that is a list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.base import Decoded, OnTruncated
from sonar_cli.model.sampling import Sampling
from sonar_cli.model.systems.base import Feedback, Prompt, State, System
from sonar_cli.options import PLAIN, GenerationOptions, StopReason
from sonar_cli.pipeline import generate, generate_many, in_order

BOOK = ["Once.", "One.", "Two.", "Three.", "Four.", "The end."]


class BookCodec:
    """Sentence i of the book is the unit vector i."""

    width = len(BOOK)
    max_len = 9
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.encoded: list[list[str]] = []

    @property
    def tokenizer(self) -> object:
        raise AssertionError("the loop needs no tokenizer")

    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        self.encoded.append(list(sentences))
        if on_truncated and (cut := sum(len(each) > self.max_len for each in sentences)):
            on_truncated(cut)
        return torch.eye(self.width)[
            [BOOK.index(each[: self.max_len].strip()) for each in sentences]
        ]

    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        batch_size: int = 32,
        sampling: Sampling | None = None,
    ) -> list[Decoded]:
        return [Decoded(BOOK[i], (i,), 0.0) for i in vectors.argmax(1).tolist()]


class BookSystem:
    """Proposes the next sentence of the book, a little off; the vectors are its only input."""

    def __init__(self, feeds_back: Feedback) -> None:
        self.codec = BookCodec()
        self.feeds_back = feeds_back
        self.state: BookState | None = None

    def start(self, options: GenerationOptions) -> State:
        self.state = BookState(self.codec, self.feeds_back)
        return self.state


class BookState:
    """Each text is the place that its last vector names, and what was read of it."""

    def __init__(self, codec: BookCodec, feeds_back: Feedback) -> None:
        self.codec = codec
        self.feeds_back = feeds_back
        self.drawing = PLAIN
        self.end = codec.encode(["The end."])
        self.names = count()
        self.read_vectors: dict[int, list[Tensor]] = {}
        self.rows: list[int] = []

    def open(self, texts: Sequence[Prompt], on_truncated: OnTruncated | None = None) -> None:
        for text in texts:
            assert not isinstance(text, Tensor)
            vectors = self.codec.encode(text, on_truncated=on_truncated)
            name = next(self.names)
            self.read_vectors[name] = list(vectors)
            self.rows.append(name)

    def read(self, vectors: Tensor) -> None:
        for name, vector in zip(self.rows, vectors, strict=True):
            self.read_vectors[name].append(vector)

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        assert len(random) == len(self.rows)
        newest = torch.stack([self.read_vectors[name][-1] for name in self.rows])
        places = newest.argmax(1) + 1
        return F.normalize(torch.eye(len(BOOK))[places] + 0.1, dim=1)

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        assert to_end == pytest.approx(float(F.cosine_similarity(new, self.end)))
        return "end" if to_end > 0.9 else None

    def keep(self, rows: list[int]) -> None:
        self.rows = [self.rows[row] for row in rows]


def _system(feeds_back: Feedback) -> tuple[System, BookSystem]:
    own = BookSystem(feeds_back)
    return own, own  # type: ignore[return-value]


@pytest.mark.parametrize("feeds_back", ["sentence", "vector"])
def test_the_loop_runs_any_system(feeds_back: Feedback) -> None:
    system, _ = _system(feeds_back)
    steps = list(generate(system, ["Once.", "One."]))
    assert [step.text for step in steps] == ["Two.", "Three.", "Four.", None]
    assert steps[-1].stop_reason == "end"


def test_what_goes_on_is_the_systems_choice() -> None:
    system, own = _system("sentence")
    steps = list(generate(system, ["Once."]))
    assert own.state is not None
    assert all(float(each.max()) == 1.0 for each in own.state.read_vectors[0])
    assert own.codec.encoded[2:] == [["One."], ["Two."], ["Three."], ["Four."], ["The end."]]
    assert all(step.fidelity is not None and 0.9 < step.fidelity < 1 for step in steps)
    system, own = _system("vector")
    steps = list(generate(system, ["Once."]))
    assert own.state is not None
    assert [float(each.max()) < 1.0 for each in own.state.read_vectors[0]] == [False] + [True] * 4
    assert own.codec.encoded == [["The end."], ["Once."]], "nothing that was written is encoded"
    assert all(step.fidelity is None for step in steps)
    assert all(step.similarity_to_end is not None for step in steps)


def test_texts_leave_and_join_by_rows() -> None:
    system, _ = _system("vector")
    texts = [["Four."], ["Once."], ["Three."], ["Two."]]
    steps = in_order(generate_many(system, texts, batch_size=2))
    written: dict[int, list[str | None]] = {}
    for number, step in steps:
        written.setdefault(number, []).append(step.text)
    assert written == {
        0: [None],
        1: ["One.", "Two.", "Three.", "Four.", None],
        2: ["Four.", None],
        3: ["Three.", "Four.", None],
    }


def test_what_was_cut_is_told() -> None:
    system, _ = _system("vector")
    cut: list[int] = []
    list(generate(system, ["Once.", "Two.      And more."], on_truncated=cut.append))
    assert cut == [1]
