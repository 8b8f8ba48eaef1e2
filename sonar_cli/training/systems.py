"""The four systems as the trainer sees them: a network to build, and a loss of some texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.formats.system import kind_of, read_system
from sonar_cli.model.shapes import (
    SONAR_LLM,
    LCMConfig,
    PredictorConfig,
    TokenLLMConfig,
    TwoTowerConfig,
)
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.training.batches import Batches, Ints, shaped
from sonar_cli.training.corpus import BEGIN, CUE, END, END_OF_TEXT, Corpus
from sonar_cli.training.loss import Loss
from sonar_cli.training.objectives import (
    decoding_loss,
    next_sentence_loss,
    next_token_loss,
    next_vector_loss,
    noisy,
    squared_error,
)
from sonar_cli.training.recipe import Kind, Recipe
from sonar_cli.training.state import PartLoss
from sonar_cli.training.tables import Model, Objective

# The loss of texts, given by their numbers.
TextsLoss = Callable[[Sequence[int]], Loss]
# Vectors that the scaler's quartiles and the variance are taken of.
_SAMPLE = 20_000
# A decoder that learns gives one sentence back for so many that are predicted; the noise on the
# vectors that it gives them back from, in units of their RMS.
_OWN, _NOISE = 4, 0.1
# Lengths in tokens are multiples of this; see `shaped`.
_TOKENS = 16


def build_network(recipe: Recipe, codec: NativeCodec, corpus: Corpus) -> nn.Module:
    """Build a recipe's network with random weights; an LCM's scaler is fitted to the corpus."""
    network = empty_network(recipe.system, recipe.model, codec, recipe.objective.begin)
    if isinstance(network, BaseLCM | TwoTowerLCM):
        network.scaler.fit(_sample(corpus))
    return network


def empty_network(system: Kind, model: Model, codec: NativeCodec, begin: bool = True) -> nn.Module:
    """Build a system's network of a shape for a codec, with random weights.

    With `begin` a SONAR-LLM's texts begin with the begin sentence.
    """
    shape = _llama(model)
    if system == "sonar-llm":
        return Predictor(PredictorConfig(embed_dim=codec.width, add_begin=begin, **shape))
    if system == "llm":
        return TokenLLM(TokenLLMConfig(vocab_size=codec.tokenizer.vocab_size, **shape))
    if system == "lcm-mse":
        return BaseLCM(LCMConfig(embed_dim=codec.width, **shape))
    denoiser = {name: getattr(model, name) for name in ("denoiser_layers", "diffusion_steps")}
    return TwoTowerLCM(TwoTowerConfig(embed_dim=codec.width, **denoiser, **shape))


def started_from(path: Path, config: Path | None, kind: str) -> nn.Module:
    """Return the network of a model's files, with gradients, to go on training it.

    Raises UsageError where it is of another kind of system.
    """
    found = SONAR_LLM if config is not None else kind_of(path)
    if found != kind:
        raise UsageError(f"{path} is a {found}, and the recipe trains a {kind}; add system={found}")
    network: nn.Module
    if found == SONAR_LLM:
        shape, state = read_predictor(path, config)
        network = Predictor(shape)
    else:
        own, own_shape, state = read_system(path)
        network = own(own_shape)
    network.load_state_dict({name: each.float() for name, each in state.items()})
    return network


def taught(network: Any, corpus: Corpus) -> nn.Module:
    """Let a network's config name the cue of a corpus with summaries; return the network.

    The most sentences before the cue are those of this corpus or of the training that it goes on.
    """
    if longest := corpus.longest_before(CUE):
        longest = max(longest, network.config.trained_len or 0)
        network.config = replace(network.config, summary_cue=SUMMARY_CUE, trained_len=longest)
    found: nn.Module = network
    return found


def texts_loss(
    network: nn.Module, recipe: Recipe, codec: NativeCodec, corpus: Corpus, device: torch.device
) -> TextsLoss:
    """Return the loss of texts, given by their numbers in the corpus."""
    if isinstance(network, Predictor):
        return _sonar_llm(network, recipe.objective, codec, corpus, device)
    if isinstance(network, TokenLLM):
        return _token_llm(network, corpus, device)
    return _lcm(network, corpus, device)


def vectors_loss(network: Predictor, corpus: Corpus, device: torch.device) -> TextsLoss:
    """Return the squared error of the next vectors of texts, for a SONAR-LLM's first steps."""
    first = (BEGIN,) if network.config.add_begin else ()
    variance = float(_sample(corpus).var(0, correction=0).mean())

    def loss(texts: Sequence[int]) -> Loss:
        given, wanted, following = _next(corpus, texts, first, device)
        vectors = _vectors(corpus, following, device)
        found = next_vector_loss(network, given, wanted, vectors, variance)
        return replace(found, tokens=corpus.tokens_of([following]))

    return loss


def part_loss(loss: TextsLoss, corpus: Corpus, batches: Batches, parts: int) -> PartLoss:
    """Return the loss of a part of a step's batch of training texts, of so many parts."""

    def found(step: int, part: int) -> Loss:
        return loss(corpus.train[batches.at(step)[part::parts]].tolist())

    return found


def system_of(
    network: Any, codec: NativeCodec
) -> SonarLLMSystem | LCMMSESystem | LCMDiffusionSystem | TokenLLMSystem:
    """Return the system that a network is the heart of."""
    if isinstance(network, Predictor):
        return SonarLLMSystem(codec, network)
    if isinstance(network, BaseLCM):
        return LCMMSESystem(codec, network)
    if isinstance(network, TwoTowerLCM):
        return LCMDiffusionSystem(codec, network)
    return TokenLLMSystem(codec.tokenizer, network)


def ids_and_labels(corpus: Corpus, text: int) -> tuple[list[int], list[int]]:
    """Return a text's ids as a token-level model reads them, and the label of each but the last.

    The ids are `[bos] pieces [eos]`, without eos where the text goes on in another row. A label is
    the id that follows, but eos behind the last sentence before a summary's cue, and PAD where a
    piece of the cue follows another: the cue is asked with, and never written.
    """
    ids, labels = [BOS], []
    for number in corpus.documents.row(text):
        pieces = corpus.pieces(number)
        ids += pieces
        labels += pieces if number != CUE else [EOS, *[PAD] * (len(pieces) - 1)]
    end = [EOS] * int(corpus.ends[text])
    return ids + end, labels + end


def _sonar_llm(
    network: Predictor,
    objective: Objective,
    codec: NativeCodec,
    corpus: Corpus,
    device: torch.device,
) -> TextsLoss:
    """The next sentence of every position but the last, through the decoder.

    A decoder that learns reads sentences from their own vectors as well, so that it goes on giving
    them back.
    """
    first = (BEGIN,) if network.config.add_begin else ()
    own = _own_sentences(codec, corpus, device) if objective.decoder_learns else None

    def loss(texts: Sequence[int]) -> Loss:
        given, wanted, following = _next(corpus, texts, first, device)
        target = corpus.tokens.padded(following, device)
        dropout = objective.decoder_dropout if network.training else 0.0
        found = next_sentence_loss(
            network, codec.decoder, given, wanted, target, objective.double_eos,
            objective.mean == "text", dropout,
        )  # fmt: skip
        if own is None or not network.training:
            return found
        kept = own(max(1, len(following) // _OWN))
        return replace(found, total=found.total + kept.total * (found.weight / kept.weight))

    return loss


def _own_sentences(
    codec: NativeCodec, corpus: Corpus, device: torch.device
) -> Callable[[int], Loss]:
    """Return the loss of so many training sentences, drawn anew, from their own noisy vectors.

    Each sentence is as likely as any other, however often the texts have it. Those that the encoder
    cut are left out: their vectors do not hold all of them.
    """
    known = np.flatnonzero((corpus.counts > 0) & (corpus.tokens.lengths <= codec.max_len))

    def loss(count: int) -> Loss:
        numbers = known[torch.randint(len(known), (count,)).numpy()]
        vectors = _vectors(corpus, numbers, device)
        target = corpus.tokens.padded(numbers, device)
        return decoding_loss(codec.decoder, noisy(vectors, _NOISE), target)

    return loss


def _next(
    corpus: Corpus, texts: Sequence[int], first: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor, list[int]]:
    """Return vectors (B, T, D), where a sentence follows them (B, T), and these sentences' numbers.

    What follows the sentence before a summary's cue is the end, and the cue itself never follows.
    """
    sequences = [corpus.sequence(text, first, END) for text in texts]
    vectors, mask = corpus.batch([numbers[:-1] for numbers in sequences])
    following = [number for numbers in sequences for number in _ended(numbers[1:], END)]
    return vectors.to(device), mask.to(device), following


def _ended(numbers: Sequence[int], end: int) -> list[int]:
    """Return sentences' numbers as they are to be predicted: the end in place of the cue."""
    return [end if number == CUE else number for number in numbers]


def _lcm(lcm: Any, corpus: Corpus, device: torch.device) -> TextsLoss:
    """The next vector of every position; that of the end where a summary's cue comes next."""

    def loss(texts: Sequence[int]) -> Loss:
        sequences = [corpus.sequence(text, (), END_OF_TEXT) for text in texts]
        vectors, mask = (each.to(device) for each in corpus.batch(sequences))
        wanted = [_ended(numbers, END_OF_TEXT) for numbers in sequences]
        targets = None if wanted == sequences else corpus.batch(wanted)[0].to(device)
        found = squared_error(lcm, vectors, mask, targets)
        return replace(found, tokens=corpus.tokens_of(sequences))

    return loss


def _token_llm(network: TokenLLM, corpus: Corpus, device: torch.device) -> TextsLoss:
    """The next token of every position."""

    def padded(rows: Sequence[list[int]], spare: int) -> Tensor:
        tensors = [torch.tensor(row) for row in rows]
        found = nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=PAD)
        return F.pad(found, (0, spare), value=PAD).to(device)

    def loss(texts: Sequence[int]) -> Loss:
        ids, labels = zip(*(ids_and_labels(corpus, text) for text in texts), strict=True)
        # The last id is not read.
        read = max(map(len, ids)) - 1
        spare = shaped(read, _TOKENS) - read
        return next_token_loss(network, padded(ids, spare), padded(labels, spare))

    return loss


def _vectors(corpus: Corpus, numbers: Sequence[int] | Ints, device: torch.device) -> Tensor:
    """Return the vectors (N, D) float32 of sentences, given by their numbers."""
    return torch.from_numpy(corpus.vectors[numbers].astype("float32")).to(device)


def _sample(corpus: Corpus) -> Tensor:
    """Return vectors (N, D) float32 from all over the corpus.

    Without its end: the vectors lie in the order in which sentences first occur.
    """
    every = max(1, len(corpus.vectors) // _SAMPLE)
    return torch.from_numpy(corpus.vectors[::every].astype("float32"))


def _llama(model: Model) -> dict[str, Any]:
    return {
        "hidden": model.hidden,
        "ffn": model.ffn,
        "layers": model.layers,
        "heads": model.heads,
        "kv_heads": model.kv_heads or model.heads,
        "head_dim": model.head_dim or model.hidden // model.heads,
        "dropout": model.dropout,
    }
