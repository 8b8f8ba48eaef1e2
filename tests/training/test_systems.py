"""What each system learns of a text with a summary, on texts so small that it is written out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD
from sonar_cli.model.shapes import LCMConfig, TokenLLMConfig, TwoTowerConfig
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.training.batches import Rows
from sonar_cli.training.corpus import CUE, END, END_OF_TEXT, Corpus
from sonar_cli.training.loss import Loss
from sonar_cli.training.objectives import decoding_loss, next_token_loss, squared_error
from sonar_cli.training.recipe import Kind, Recipe
from sonar_cli.training.systems import ids_and_labels, taught, texts_loss

LANG, D = 55, 64
# The four marks, then two sentences and a summary of them.
PIECES = [[20], [21], [22], [23, 24, 25], [7, 8], [9], [10, 11]]
ONE, TWO, SUMMARY = 4, 5, 6
TOLD = [ONE, TWO, CUE, SUMMARY]
SHAPE = {"hidden": 32, "ffn": 48, "layers": 1, "heads": 4, "kv_heads": 4, "head_dim": 8}


def _corpus(*texts: list[int], ends: bool = True) -> Corpus:
    vectors = np.random.default_rng(0).standard_normal((len(PIECES), D)).astype(np.float16)
    every, none = np.arange(len(texts)), np.arange(0)
    return Corpus(
        Rows.of([EOS, LANG, *pieces, EOS] for pieces in PIECES),
        vectors, Rows.of(texts), np.full(len(texts), ends), every, none, none, "",
    )  # fmt: skip


def _loss(kind: Kind, network: nn.Module, corpus: Corpus, codec: Any = None) -> Loss:
    loss = texts_loss(network.eval(), Recipe(kind), codec, corpus, torch.device("cpu"))
    return loss(range(len(corpus.documents)))


def _token_llm() -> TokenLLM:
    return TokenLLM(TokenLLMConfig(vocab_size=60, **SHAPE))


# the token-level model


def test_the_labels_of_a_text_with_a_summary() -> None:
    ids, labels = ids_and_labels(_corpus(TOLD), 0)
    assert ids == [BOS, 7, 8, 9, 23, 24, 25, 10, 11, EOS]
    assert labels == [7, 8, 9, EOS, PAD, PAD, 10, 11, EOS]


def test_the_labels_of_a_text_without_one_are_the_next_ids() -> None:
    for ends in (True, False):
        ids, labels = ids_and_labels(_corpus([ONE, TWO], ends=ends), 0)
        assert ids == [BOS, 7, 8, 9, *[EOS] * ends] and labels == ids[1:]


def test_a_token_models_loss_by_hand() -> None:
    """Of its ten ids seven have a label: neither pieces of the cue nor the last."""
    network = _token_llm()
    ids = torch.tensor([[BOS, 7, 8, 9, 23, 24, 25, 10, 11, EOS]])
    logs = network(ids)[0].log_softmax(-1).detach()
    wanted = {0: 7, 1: 8, 2: 9, 3: EOS, 6: 10, 7: 11, 8: EOS}
    total = -sum(float(logs[place, label]) for place, label in wanted.items())
    found = _loss("llm", network, _corpus(TOLD))
    assert (found.weight, found.tokens) == (7, 7)
    assert found.mean == pytest.approx(total / 7, rel=1e-5)


def test_a_text_without_a_summary_has_the_loss_it_had() -> None:
    network = _token_llm()
    ids = torch.tensor([[BOS, 7, 8, 9, EOS], [BOS, 9, EOS, PAD, PAD]])
    found = _loss("llm", network, _corpus([ONE, TWO], [TWO]))
    assert torch.equal(found.total, next_token_loss(network, ids).total)


# the systems of vectors


def test_a_base_lcms_loss_position_by_position() -> None:
    """The end is what follows the sentence before the cue; the cue is read, and never wanted."""
    network, corpus = BaseLCM(LCMConfig(embed_dim=D, **SHAPE)).eval(), _corpus(TOLD, [ONE, TWO])
    vectors = torch.from_numpy(corpus.vectors.astype(np.float32))
    network.scaler.fit(vectors)
    total, count = 0.0, 0
    for read, wanted in (
        ([ONE, TWO, CUE, SUMMARY], [TWO, END_OF_TEXT, SUMMARY, END_OF_TEXT]),
        ([ONE, TWO], [TWO, END_OF_TEXT]),
    ):
        for place, number in enumerate(wanted):
            new = network(vectors[read[: place + 1]][None])[0, -1]
            error = network.scaler.normalize(new) - network.scaler.normalize(vectors[number])
            total, count = total + error.square().sum().item(), count + 1
    found = _loss("lcm-mse", network, corpus)
    assert found.weight == count == 6
    assert found.mean == pytest.approx(total / count, rel=1e-4)


def test_a_two_tower_lcm_denoises_the_end_in_place_of_the_cue() -> None:
    network = TwoTowerLCM(TwoTowerConfig(embed_dim=D, denoiser_layers=1, **SHAPE)).eval()
    corpus = _corpus(TOLD)
    read, _ = corpus.batch([[*TOLD, END_OF_TEXT]])
    wanted, mask = corpus.batch([[ONE, TWO, END_OF_TEXT, SUMMARY, END_OF_TEXT]])
    torch.manual_seed(1)
    expected = squared_error(network, read, mask, wanted)
    torch.manual_seed(1)
    found = _loss("lcm-diffusion", network, corpus)
    assert found.weight == 5 and torch.equal(found.total, expected.total)


def test_a_sonar_llms_loss_sentence_by_sentence(predictor: Predictor, decoder: TextDecoder) -> None:
    corpus = _corpus(TOLD)
    vectors = torch.from_numpy(corpus.vectors.astype(np.float32))
    total = weight = 0.0
    for place, number in enumerate([TWO, END, SUMMARY, END]):
        new = predictor(vectors[TOLD[: place + 1]][None])[0, -1:]
        one = decoding_loss(decoder, new, corpus.tokens.padded([number]))
        total, weight = total + one.total.item(), weight + one.weight
    found = _loss("sonar-llm", predictor, corpus, SimpleNamespace(decoder=decoder))
    assert found.weight == weight
    assert found.mean == pytest.approx(total / weight, rel=1e-5)


# what the config says


def test_the_config_names_the_cue_that_was_taught() -> None:
    plain = _token_llm()
    assert taught(plain, _corpus([ONE, TWO])) is plain
    assert (plain.config.summary_cue, plain.config.trained_len) == (None, None)
    taught(plain, _corpus([ONE, TWO], TOLD, [ONE, CUE, SUMMARY]))
    assert (plain.config.summary_cue, plain.config.trained_len) == (SUMMARY_CUE, 2)


def test_what_was_learned_before_is_not_forgotten() -> None:
    network = _token_llm()
    network.config = replace(network.config, summary_cue=SUMMARY_CUE, trained_len=15)
    taught(network, _corpus(TOLD))
    assert network.config.trained_len == 15
    taught(network, _corpus([ONE, TWO]))
    assert network.config.summary_cue == SUMMARY_CUE
