"""The published layouts of checkpoints: tables from their tensor names to ours.

SONAR's codec has four layouts: fairseq2's, fairseq's, Hugging Face's M2M100, and that of the port
of SONAR to transformers. The last three have the same names inside a layer, and their first four
embedding rows are bos, pad, eos, unk. SONAR-LLM's predictor has one layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

State = dict[str, Tensor]

# A layer's number: no model has 10,000, and one with zeros in front would be another's twin.
_LAYER = "(0|[1-9][0-9]{0,3})"

_FAIRSEQ2_PARTS = {
    "self_attn.q_proj": "self_attn.q",
    "self_attn.k_proj": "self_attn.k",
    "self_attn.v_proj": "self_attn.v",
    "self_attn.output_proj": "self_attn.out",
    "self_attn_layer_norm": "self_attn_norm",
    "encoder_decoder_attn.q_proj": "vector_attn.q",
    "encoder_decoder_attn.k_proj": "vector_attn.k",
    "encoder_decoder_attn.v_proj": "vector_attn.v",
    "encoder_decoder_attn.output_proj": "vector_attn.out",
    "encoder_decoder_attn_layer_norm": "vector_attn_norm",
    "ffn.inner_proj": "ffn.up",
    "ffn.output_proj": "ffn.down",
    "ffn_layer_norm": "ffn_norm",
}
_FAIRSEQ_PARTS = {
    "self_attn.q_proj": "self_attn.q",
    "self_attn.k_proj": "self_attn.k",
    "self_attn.v_proj": "self_attn.v",
    "self_attn.out_proj": "self_attn.out",
    "self_attn_layer_norm": "self_attn_norm",
    "encoder_attn.q_proj": "vector_attn.q",
    "encoder_attn.k_proj": "vector_attn.k",
    "encoder_attn.v_proj": "vector_attn.v",
    "encoder_attn.out_proj": "vector_attn.out",
    "encoder_attn_layer_norm": "vector_attn_norm",
    "fc1": "ffn.up",
    "fc2": "ffn.down",
    "final_layer_norm": "ffn_norm",
}
_LLAMA_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn.q",
    "self_attn.k_proj": "attn.k",
    "self_attn.v_proj": "attn.v",
    "self_attn.o_proj": "attn.out",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn.gate",
    "mlp.up_proj": "ffn.up",
    "mlp.down_proj": "ffn.down",
}


@dataclass(frozen=True)
class Layout:
    """One published way to name a model's tensors.

    `layers` is the path of the list of layers. `whole` maps names of modules outside the layers to
    ours, `parts` those inside a layer. `tied` names are further copies of the embedding; a file may
    hold any one of all copies, or several. `ignored` is a pattern of names that are not read.
    `permuted` tells that the first four embedding rows are in fairseq's order.
    """

    name: str
    layers: str
    whole: Mapping[str, str]
    parts: Mapping[str, str]
    tied: tuple[str, ...] = ()
    ignored: str = r"(?!)"
    permuted: bool = False

    def rename(self, tensors: Mapping[str, Tensor]) -> tuple[State, list[str]]:
        """Return the tensors by our names, and the names that this layout does not know."""
        ours, unknown = {}, []
        copies = self.embeddings(tensors)
        for name, tensor in tensors.items():
            if name in copies[1:] or re.fullmatch(self.ignored, name):
                continue
            new = "embed.weight" if name in copies else self._ours(name)
            if new is None:
                unknown.append(name)
            else:
                ours[new] = tensor
        return ours, unknown

    def embeddings(self, tensors: Mapping[str, Tensor]) -> list[str]:
        """Return the names of those copies of the embedding that are there, the first one's first.

        >>> DECODER_LAYOUTS[-1].embeddings({"lm_head.weight": None, "shared.weight": None})
        ['shared.weight', 'lm_head.weight']
        """
        own = [f"{theirs}.weight" for theirs, ours in self.whole.items() if ours == "embed"]
        return [name for name in (*own, *self.tied) if name in tensors]

    def fits(self, tensors: Mapping[str, Tensor]) -> bool:
        """Tell whether a file has this layout: an embedding, and layers where they belong."""
        return bool(self.embeddings(tensors)) and any(
            name.startswith(f"{self.layers}.") for name in tensors
        )

    def theirs(self, name: str) -> str:
        """Return this layout's name for one of ours."""
        stem, _, leaf = name.rpartition(".")
        if match := re.fullmatch(r"layers\.(\d+)\.(.+)", stem):
            part = next(theirs for theirs, ours in self.parts.items() if ours == match[2])
            return f"{self.layers}.{match[1]}.{part}.{leaf}"
        return next(theirs for theirs, ours in self.whole.items() if ours == stem) + f".{leaf}"

    def _ours(self, name: str) -> str | None:
        stem, _, leaf = name.rpartition(".")
        if stem in self.whole:
            return f"{self.whole[stem]}.{leaf}"
        match = re.fullmatch(rf"{re.escape(self.layers)}\.{_LAYER}\.(.+)", stem)
        if match and match[2] in self.parts:
            return f"layers.{match[1]}.{self.parts[match[2]]}.{leaf}"
        return None


_FAIRSEQ_EXTRAS = r"(decoder\.|encoder\.)?version|(.*\.)?embed_positions\.(_float_tensor|weights)"

ENCODER_LAYOUTS = (
    Layout(
        "fairseq2",
        layers="encoder.layers",
        whole={"encoder_frontend.embed": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ2_PARTS,
    ),
    Layout(
        "fairseq or Hugging Face",
        layers="layers",
        whole={"embed_tokens": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        ignored=_FAIRSEQ_EXTRAS,
        permuted=True,
    ),
    Layout(
        "transformers' SONAR",
        layers="encoder.layers",
        whole={"shared": "embed", "encoder.layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("encoder.embed_tokens.weight",),
        ignored=_FAIRSEQ_EXTRAS,
        permuted=True,
    ),
)
DECODER_LAYOUTS = (
    Layout(
        "fairseq2",
        layers="decoder.layers",
        whole={"decoder_frontend.embed": "embed", "decoder.layer_norm": "norm"},
        parts=_FAIRSEQ2_PARTS,
        tied=("final_proj.weight",),
    ),
    Layout(
        "fairseq",
        layers="layers",
        whole={"embed_tokens": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("output_projection.weight",),
        ignored=_FAIRSEQ_EXTRAS,
        permuted=True,
    ),
    Layout(
        "Hugging Face",
        layers="model.decoder.layers",
        whole={"model.shared": "embed", "model.decoder.layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("lm_head.weight", "model.decoder.embed_tokens.weight"),
        ignored=rf"model\.encoder\..*|{_FAIRSEQ_EXTRAS}",
        permuted=True,
    ),
    Layout(
        "transformers' SONAR",
        layers="decoder.layers",
        whole={"shared": "embed", "decoder.layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("decoder.embed_tokens.weight", "lm_head.weight"),
        ignored=rf"encoder\..*|{_FAIRSEQ_EXTRAS}",
        permuted=True,
    ),
)
PREDICTOR_LAYOUT = Layout(
    "SONAR-LLM",
    layers="llama_model.model.layers",
    whole={
        "llama_model.model.norm": "norm",
        "forward_proj.linear": "forward_proj",
        "reverse_proj.linear": "reverse_proj",
    },
    parts=_LLAMA_PARTS,
    ignored=r"llama_model\.model\.embed_tokens\.weight|llama_model\.lm_head\.weight|sonar_decoder\..*",
)
