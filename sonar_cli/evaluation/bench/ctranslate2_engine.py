"""CTranslate2 beside our decoder: the same weights as an M2M100 of its own, in its own search.

A source token's embedding is the sentence vector. Its encoder has the one layer that it needs at
least, of zeros, which leaves the vector as it is; its decoder attends to that as ours does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from sonar_cli.errors import SonarError
from sonar_cli.evaluation.bench.engines import END, PREFIX, random_vectors, step_bytes
from sonar_cli.model.codec.encoder import EncoderLayer
from sonar_cli.model.codec.layers import sinusoidal_positions
from sonar_cli.model.formats.codec import folded
from sonar_cli.model.shapes import TransformerConfig

# Sentence vectors that its source language has words for.
_WORDS = 64


class CTranslate2Engine:
    """CTranslate2's decoder and beam search on the CPU, with a folder of its own while it lives."""

    def __init__(self, config: TransformerConfig, state: Mapping[str, Tensor], dtype: str) -> None:
        import ctranslate2

        self.name = f"ctranslate2 {dtype}"
        self.bytes_read = step_bytes(config, dtype)
        self.vectors = random_vectors(state["embed.weight"], _WORDS)
        with TemporaryDirectory(prefix="sonar-llm-") as folder:
            _specification(config, state, self.vectors).save(folder)
            self._translator = ctranslate2.Translator(
                folder, compute_type=dtype, intra_threads=torch.get_num_threads()
            )

    def search(self, texts: int, beam_size: int, steps: int) -> None:
        """Decode so many random vectors together, for exactly `steps` token steps."""
        self.translate(texts, beam_size, steps)

    def translate(self, texts: int, beam_size: int, steps: int) -> list[list[int]]:
        """Return what `search` writes: of each text the tokens, prefix included."""
        first, *prefix = PREFIX
        length = len(prefix) + steps
        found = self._translator.translate_batch(
            [[f"vector {number % _WORDS}"] for number in range(texts)],
            target_prefix=[[str(each) for each in prefix]] * texts,
            beam_size=beam_size,
            min_decoding_length=length,
            max_decoding_length=length,
        )
        return [[first, *map(int, each.hypotheses[0])] for each in found]


def dtypes() -> set[str]:
    """Return the number formats that it computes in on this CPU."""
    import ctranslate2

    return set(ctranslate2.get_supported_compute_types("cpu"))


def require() -> None:
    """Raise SonarError where CTranslate2 is not installed."""
    try:
        import ctranslate2  # noqa: F401
    except ImportError:
        raise SonarError(
            "--against ctranslate2 needs it; install it: pip install 'sonar-llm[bench]'"
        ) from None


def _specification(config: TransformerConfig, state: Mapping[str, Tensor], vectors: Tensor) -> Any:
    """Return a model as CTranslate2 describes it, with words "vector N" and tokens "N"."""
    from ctranslate2.specs import transformer_spec as specs

    encoder = specs.TransformerEncoderSpec(1, config.heads, no_final_norm=True)
    decoder = specs.TransformerDecoderSpec(config.layers, config.heads)
    made = specs.TransformerSpec(encoder, decoder)
    encoder.embeddings[0].weight = _array(vectors)
    encoder.scale_embeddings = False
    encoder.position_encodings.encodings = _array(torch.zeros(2, config.width))
    nothing = _zeros(config)
    _attention(encoder.layer[0].self_attention, nothing, "self_attn")
    _feed_forward(encoder.layer[0].ffn, nothing, "ffn")
    decoder.embeddings.weight = _array(state["embed.weight"])
    decoder.scale_embeddings = True
    positions = sinusoidal_positions(config.max_len, config.width)
    decoder.position_encodings.encodings = _array(positions)
    _norm(decoder.layer_norm, state, "norm")
    decoder.projection.weight = decoder.embeddings.weight
    whole = {**state, **folded(config)}
    for number, layer in enumerate(decoder.layer):
        _layer(layer, whole, f"layers.{number}")
    made.register_source_vocabulary([f"vector {number}" for number in range(len(vectors))])
    made.register_target_vocabulary([str(number) for number in range(config.vocab_size)])
    made.config.decoder_start_token = str(PREFIX[0])
    made.config.eos_token = made.config.unk_token = made.config.bos_token = str(END)
    made.config.add_source_bos = made.config.add_source_eos = False
    made.validate()
    made.optimize()
    return made


def _layer(layer: Any, state: Mapping[str, Tensor], path: str) -> None:
    _attention(layer.self_attention, state, f"{path}.self_attn")
    across = f"{path}.vector_attn"
    _norm(layer.attention.layer_norm, state, f"{across}_norm")
    _linear(layer.attention.linear[0], state, f"{across}.q")
    _linear(layer.attention.linear[1], state, f"{across}.k", f"{across}.v")
    _linear(layer.attention.linear[2], state, f"{across}.out")
    _feed_forward(layer.ffn, state, f"{path}.ffn")


def _attention(spec: Any, state: Mapping[str, Tensor], path: str) -> None:
    _norm(spec.layer_norm, state, f"{path}_norm")
    _linear(spec.linear[0], state, *(f"{path}.{part}" for part in "qkv"))
    _linear(spec.linear[1], state, f"{path}.out")


def _feed_forward(spec: Any, state: Mapping[str, Tensor], path: str) -> None:
    _norm(spec.layer_norm, state, f"{path}_norm")
    _linear(spec.linear_0, state, f"{path}.up")
    _linear(spec.linear_1, state, f"{path}.down")


def _zeros(config: TransformerConfig) -> dict[str, Tensor]:
    """Return the tensors of an encoder's layer that changes nothing."""
    layer = EncoderLayer(replace(config, ffn=1))
    return {name: torch.zeros_like(tensor) for name, tensor in layer.state_dict().items()}


def _linear(spec: Any, state: Mapping[str, Tensor], *names: str) -> None:
    spec.weight = _array(torch.cat([state[f"{name}.weight"] for name in names]))
    spec.bias = _array(torch.cat([state[f"{name}.bias"] for name in names]))


def _norm(spec: Any, state: Mapping[str, Tensor], name: str) -> None:
    spec.gamma, spec.beta = _array(state[f"{name}.weight"]), _array(state[f"{name}.bias"])


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().cpu().numpy()
