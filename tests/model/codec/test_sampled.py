"""Sentences drawn token by token: as often as they are likely, each by its own random numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.base import Decoded
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.sampled import sample
from sonar_cli.model.codec.tokenizer import EOS as EOS_ID
from sonar_cli.model.load import load_codec, load_decoder, load_system
from sonar_cli.model.sampling import Sampling, generator
from sonar_cli.options import GenerationOptions, Runtime
from sonar_cli.pipeline import generate, generate_many

PAD, EOS, LANG, A, B = range(5)
# The chances of the next token after each: the end is likelier after B. Pad would be, if it could.
CHANCES = torch.tensor(
    [
        [0.2, 0.2, 0.2, 0.2, 0.2],
        [0.2, 0.1, 0.5, 0.1, 0.1],
        [0.5, 0.1, 0.1, 0.2, 0.1],
        [0.5, 0.1, 0.1, 0.1, 0.2],
        [0.1, 0.5, 0.1, 0.2, 0.1],
    ]
)
STORY = ["One day Lily found a kite.", "Lily wanted to fly the kite above the roofs at the park."]


def _step(ids: Tensor, rows: Tensor | None) -> Tensor:
    return CHANCES.log()[ids]


def _drawn(
    rows: int, max_len: int = 9, top_p: float = 1.0
) -> tuple[list[tuple[int, ...]], list[float], list[tuple[float, ...]]]:
    random = generator(0)
    how = Sampling(1.0, top_p, [random] * rows)
    prefix = torch.tensor([[EOS, LANG]]).expand(rows, -1)
    found = sample(_step, prefix, how, max_len=max_len, eos=EOS, pad=PAD)
    ids, chances = [each.ids for each in found], [each.chances for each in found]
    return ids, [each.score for each in found], chances


def test_what_is_likely_is_drawn_often() -> None:
    ids, scores, chances = _drawn(4_000)
    # After the language token come, without pad, the end, itself, A and B: 1, 1, 2 and 1 in 5.
    firsts = [row[0] for row in ids]
    for token, share in ((EOS, 0.2), (LANG, 0.2), (A, 0.4), (B, 0.2)):
        assert firsts.count(token) / len(firsts) == pytest.approx(share, abs=0.03)
    assert all(row[-1] == EOS and EOS not in row[:-1] for row in ids)
    place = ids.index((A, B, EOS))
    total = math.log(0.5) + math.log(0.2) + math.log(0.2) + math.log(0.5)
    assert scores[place] == pytest.approx(total / 4, abs=1e-5)
    assert chances[place] == pytest.approx([math.log(0.2), math.log(0.2), math.log(0.5)], abs=1e-5)


def test_the_nucleus_and_the_longest() -> None:
    ids, *_ = _drawn(200, top_p=0.3)
    assert {row[0] for row in ids} == {A}
    ids, *_ = _drawn(200, max_len=4)
    assert max(map(len, ids)) == 2 and all(row[-1] == EOS for row in ids)
    with pytest.raises(ValueError, match="max_len above 2"):
        _drawn(1, max_len=2)


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    found = load_codec(resolve(), Runtime("cpu", threads=1))
    assert isinstance(found, NativeCodec)
    return found


def test_cold_it_is_the_greedy_search(codec: NativeCodec) -> None:
    vectors = codec.encode(STORY) * torch.tensor([[1.0], [0.4]])
    how = Sampling(1e-4, 1.0, [generator(0)] * 2)
    greedy, cold = codec.decode(vectors, beam_size=1), codec.decode(vectors, sampling=how)
    assert [each.text for each in cold] == [each.text for each in greedy]
    for one, other in zip(cold, greedy, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_a_sentence_does_not_depend_on_those_beside_it(codec: NativeCodec) -> None:
    vectors = codec.encode(STORY * 3) * 0.3
    seeds = range(len(vectors))
    together = codec.decode(
        vectors, batch_size=4, sampling=Sampling(1.5, 1.0, [generator(seed) for seed in seeds])
    )
    alone = [
        codec.decode(vectors[at : at + 1], sampling=Sampling(1.5, 1.0, [generator(at)]))[0]
        for at in seeds
    ]
    assert [each.ids for each in together] == [each.ids for each in alone]
    assert len({each.ids for each in together}) > 2


def test_the_loop_draws_with_each_texts_own_numbers() -> None:
    system = load_system(resolve(), Runtime("cpu", "float32", threads=1))
    how = GenerationOptions(sentences=3, token_temperature=1.5, candidates=2, seed=3, max_tokens=24)
    alone = [[step.text for step in generate(system, STORY[:n], how)] for n in (1, 2)]
    both: list[list[str | None]] = [[], []]
    for number, step in generate_many(system, [STORY[:1], STORY], how, batch_size=2):
        both[number].append(step.text)
    assert both == alone
    other = GenerationOptions(sentences=3, token_temperature=1.5, seed=4, max_tokens=24)
    assert [step.text for step in generate(system, STORY, other)] != alone[1]


def test_of_candidates_one_that_is_spelled_well_is_taken() -> None:
    well, better = Decoded("A.", (4,), -2.0, -0.1), Decoded("B.", (5,), -1.0, -1.0)
    likely, ill = Decoded("C.", (6,), -0.5, -1.3), Decoded("D.", (7,), -0.1, -4.0)
    assert max([well, better, likely, ill], key=lambda each: each.rank) is better
    assert max([likely, ill], key=lambda each: each.rank) is likely


def test_the_spelling_of_a_drawn_sentence_is_its_least_likely_piece_within_a_word(
    codec: NativeCodec,
) -> None:
    tokenizer = codec.tokenizer
    text = "Lily, 1984: notwithstanding"
    ids = tokenizer.pieces(text)
    said = [tokenizer.decode(ids[:n]) for n in range(1, len(ids) + 1)]
    within = [
        at
        for at in range(1, len(ids))
        if said[at][len(said[at - 1]) :][:1].isalpha() and said[at - 1][-1:].isalpha()
    ]
    assert within
    for at in range(len(ids)):
        chances = [-0.01] * len(ids)
        chances[at] = -3.0
        assert tokenizer.spelling(ids, chances) == (-3.0 if at in within else -0.01)
    numbers = tokenizer.pieces("1984.")
    assert tokenizer.spelling(numbers, [-3.0] * len(numbers)) == 0


def test_suppressed_pieces_are_never_written(codec: NativeCodec) -> None:
    kite = codec.tokenizer.pieces("kite")[0]
    config = replace(codec.decoder.config, suppressed=(kite,))
    decoder = TextDecoder(config).eval()
    decoder.load_state_dict(load_decoder(resolve().decoder, trains=True).state_dict())
    other = NativeCodec(codec.encoder, decoder, codec.tokenizer)
    vectors = codec.encode(STORY[:1] * 20)
    assert kite in codec.decode(vectors[:1])[0].ids
    how = Sampling(1.0, 1.0, [generator(0)] * 20)
    found = other.decode(vectors[:1]) + other.decode(vectors, sampling=how)
    assert all(kite not in each.ids and each.ids[-1] == EOS_ID for each in found)
