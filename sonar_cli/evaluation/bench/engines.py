"""What `sonar-llm bench` compares: our decoder as it runs, unpacked, and the original's."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.model.codec.beam import beam_search
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.graph import StaticSearch
from sonar_cli.model.fast.linear import PacksLater
from sonar_cli.model.load import pick_dtype, prepare
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor

State = dict[str, Tensor]
Module = TypeVar("Module", bound=nn.Module)

# Numbers drawn once and repeated: drawing billions would take longer than the measure.
_BLOCK = 2**24
# Any id will do; as end and pad at once it is forbidden until the last position, so that a search
# takes the number of steps asked for.
_END = 0


class Engine(Protocol):
    """A decoder with its search. `bytes_read` of weights are read in a step."""

    name: str
    bytes_read: int

    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Search `steps` tokens for so many texts together."""


class NativeEngine:
    """Our decoder and search."""

    def __init__(self, name: str, decoder: TextDecoder, bytes_read: int) -> None:
        self.name, self.decoder, self.bytes_read = name, decoder, bytes_read
        self._searches: dict[tuple[int, int, int], StaticSearch] = {}

    @torch.inference_mode()
    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Search `steps` tokens for so many texts together."""
        vectors = _vectors(self.decoder.embed.weight, texts)
        prefix = torch.tensor([[3, 4]], device=vectors.device).expand(texts, -1)
        max_len = prefix.shape[1] + steps
        if vectors.is_cuda:
            key = (texts, beam_size, steps)
            if key not in self._searches:
                self._searches[key] = StaticSearch(
                    self.decoder, prefix, beam_size, max_len, eos=_END, pad=_END
                )
            self._searches[key].search(vectors, prefix)
            return
        state = self.decoder.start(vectors)

        def step(ids: Tensor, rows: Tensor | None) -> Tensor:
            if rows is not None:
                state.reorder(rows)
            return self.decoder.step(ids, state)

        beam_search(step, prefix, beam_size=beam_size, max_len=max_len, eos=_END, pad=_END)


class SonarSpaceEngine:
    """The original's decoder and fairseq2's search, on the same weights."""

    name = "sonar-space"

    def __init__(self, config: TransformerConfig, state: State, device: torch.device) -> None:
        from sonar_cli.model.codec import sonar_space

        decoder = sonar_space.build_decoder(config, state).to(device)
        self.model = sonar_space.with_no_encoder(decoder)
        self.vocab = sonar_space.vocabulary(config.vocab_size)
        self.weight = decoder.decoder_frontend.embed.weight
        self.bytes_read = step_bytes(config)

    @torch.inference_mode()
    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Search `steps` tokens for so many texts together."""
        from sonar_cli.model.codec.sonar_space import search

        prefix = torch.tensor([3, 4], device=self.weight.device)
        limit = len(prefix) + steps
        vectors = _vectors(self.weight, texts)
        search(self.model, self.vocab, vectors, prefix, beam_size, limit, at_least=steps)


def native(
    config: TransformerConfig, state: State, device: torch.device, dtype: str, packed: bool = True
) -> NativeEngine:
    """Build our decoder on a state's tensors, which are not copied."""
    decoder = built(TextDecoder, config, state, device, dtype)
    bytes_read = step_bytes(config, dtype)
    if packed:
        pack_all(prepare(decoder, dtype))
    return NativeEngine(f"{'native' if packed else 'plain'} {dtype}", decoder, bytes_read)


def native_predictor(
    config: PredictorConfig, state: State, device: torch.device, dtype: str
) -> tuple[Predictor, int]:
    """Build a predictor on a state's tensors; return it and the bytes that a sentence reads."""
    predictor = built(Predictor, config, state, device, dtype)
    bytes_read = sum(each.numel() for each in predictor.parameters()) * item_bytes(dtype)
    prepare(predictor, dtype)
    # One vector at a time is never packed for in float32.
    return (pack_all(predictor) if dtype == "int8" else predictor), bytes_read


def pack_all(model: Module) -> Module:
    """Pack what would be packed once it had served for a while."""
    for module in model.modules():
        if isinstance(module, PacksLater):
            module.pack()
    return model


def step_bytes(config: TransformerConfig, dtype: str = "float32") -> int:
    """Return the bytes of weights that a token step reads: all but the cross-attention."""
    layer = 4 * config.width**2 + 2 * config.width * config.ffn
    return (config.layers * layer + config.vocab_size * config.width) * item_bytes(dtype)


def item_bytes(dtype: str) -> int:
    """Return the bytes of a weight.

    >>> [item_bytes(dtype) for dtype in ("float32", "bfloat16", "int8")]
    [4, 2, 1]
    """
    return 1 if dtype == "int8" else pick_dtype(dtype).itemsize


def random_state(model: Any, config: Any) -> State:
    """Return random weights for a model, without building it twice in memory."""
    with torch.device("meta"):
        shapes = model(config).state_dict()
    block = 0.02 * torch.randn(_BLOCK)
    return {name: _fill(block, tensor.shape) for name, tensor in shapes.items()}


def _fill(block: Tensor, shape: torch.Size) -> Tensor:
    tensor = torch.empty(shape)
    for part in tensor.view(-1).split(len(block)):
        part.copy_(block[: len(part)])
    return tensor


def built(model: Any, config: Any, state: State, device: torch.device, dtype: str) -> Any:
    """Build a model on a state's tensors, which are not copied unless they have to move."""
    with torch.device("meta"):
        module: nn.Module = model(config)
    kind = pick_dtype(dtype)
    module.load_state_dict({n: t.to(device, kind) for n, t in state.items()}, assign=True)
    return module.requires_grad_(False).eval().to(device)


def _vectors(weight: Tensor, texts: int) -> Tensor:
    """Vectors (texts, D) of about the size of SONAR's."""
    drawn = 0.006 * torch.randn(texts, weight.shape[1])
    return drawn.to(weight.device, weight.dtype)
