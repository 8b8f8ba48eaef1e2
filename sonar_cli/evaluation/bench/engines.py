"""What the bench compares: our decoder as it runs, unpacked, and the original's; our predictor."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.model.codec import sonar_space
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.search import Search
from sonar_cli.model.fast.packed import PacksLater
from sonar_cli.model.formats.codec import decoder_to_fairseq2
from sonar_cli.model.formats.layouts import State
from sonar_cli.model.load import build, pick_dtype, prepare
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor

Module = TypeVar("Module", bound=nn.Module)

# Two tokens that every sentence begins with, as the decoder's prompt; any will do.
PREFIX = (3, 4)
# The token that ends a sentence. Our search never takes the padding token before the last position,
# so with one token for both no sentence ends before it has all its steps.
END = 0
# About the deviation of the numbers in SONAR's vectors.
_DEVIATION = 0.006


class Engine(Protocol):
    """A decoder with its search.

    `bytes_read` is the size of the weights that a token step has to read.
    """

    name: str
    bytes_read: int

    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Decode so many random vectors together, for exactly `steps` token steps."""


class NativeEngine:
    """Our decoder with the search of `NativeCodec.decode`."""

    def __init__(self, name: str, decoder: TextDecoder, bytes_read: int) -> None:
        self.name, self.decoder, self.bytes_read = name, decoder, bytes_read
        self._search = Search(decoder)

    @torch.inference_mode()
    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Decode so many random vectors together, for exactly `steps` token steps."""
        vectors = random_vectors(self.decoder.embed.weight, texts)
        prefix = torch.tensor(PREFIX, device=vectors.device)
        self._search(vectors, prefix, beam_size, len(prefix) + steps, eos=END, pad=END)


class SonarSpaceEngine:
    """The original's decoder with fairseq2's search, on the same weights as ours."""

    name = "sonar-space"

    def __init__(self, config: TransformerConfig, state: State, device: torch.device) -> None:
        decoder = sonar_space.build_decoder(config, decoder_to_fairseq2(config, state)).to(device)
        self.model = sonar_space.with_no_encoder(decoder)
        self.vocab = sonar_space.vocabulary(config.vocab_size)
        self.weight = decoder.decoder_frontend.embed.weight
        self.bytes_read = step_bytes(config)

    @torch.inference_mode()
    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Decode so many random vectors together, for exactly `steps` token steps."""
        vectors = random_vectors(self.weight, texts)
        prefix = torch.tensor(PREFIX, device=vectors.device)
        limit = len(prefix) + steps
        sonar_space.search(
            self.model, self.vocab, vectors, prefix, beam_size, limit, at_least=steps
        )


def native(
    config: TransformerConfig, state: State, device: torch.device, dtype: str, packed: bool = True
) -> NativeEngine:
    """Return our decoder on a state's tensors, which are not copied.

    It is prepared as the loader does it, and its weights are packed as they are after some
    sentences; or, with `packed` False, neither.
    """
    decoder = build(TextDecoder, config, state, device, pick_dtype(dtype))
    if packed:
        pack_all(prepare(decoder, dtype))
    name = f"{'native' if packed else 'plain'} {dtype}"
    return NativeEngine(name, decoder, step_bytes(config, dtype))


def native_predictor(
    config: PredictorConfig, state: State, device: torch.device, dtype: str
) -> tuple[Predictor, int]:
    """Return our predictor on a state's tensors, and the bytes of weights that a sentence reads.

    It is prepared as the loader does it, and its weights are packed where they are in use: only
    those in int8, since in float32 the product with a single vector is as fast without.
    """
    predictor = build(Predictor, config, state, device, pick_dtype(dtype))
    bytes_read = sum(each.numel() for each in predictor.parameters()) * item_bytes(dtype)
    prepare(predictor, dtype)
    return (pack_all(predictor) if dtype == "int8" else predictor), bytes_read


def pack_all(model: Module) -> Module:
    """Pack in place, at once, the weights that a model packs when it has served for a while."""
    for module in model.modules():
        if isinstance(module, PacksLater):
            module.pack()
    return model


def step_bytes(config: TransformerConfig, dtype: str = "float32") -> int:
    """Return the bytes of weights that a decoder's token step reads.

    They are self-attention, feed-forward layers and output embedding. The cross-attention to the
    one vector is a constant, computed once a sentence.
    """
    layer = 4 * config.width**2 + 2 * config.width * config.ffn
    return (config.layers * layer + config.vocab_size * config.width) * item_bytes(dtype)


def item_bytes(dtype: str) -> int:
    """Return the bytes of a weight.

    >>> [item_bytes(dtype) for dtype in ("float32", "bfloat16", "int8")]
    [4, 2, 1]
    """
    return 1 if dtype == "int8" else pick_dtype(dtype).itemsize


def random_vectors(weight: Tensor, texts: int) -> Tensor:
    """Return random sentence vectors (texts, D) of the dtype and on the device of `weight`."""
    drawn = _DEVIATION * torch.randn(texts, weight.shape[1])
    return drawn.to(weight.device, weight.dtype)
