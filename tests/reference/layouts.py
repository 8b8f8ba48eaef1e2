"""Write the tiny codec in the three published layouts, each checked by somebody else's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from sonar.models.sonar_text.checkpoint import _convert_sonar_text_decoder_checkpoint
from torch import Tensor
from torch.nn import functional as F
from toy_codec import FFN, HEADS, LAYERS, WIDTH, ToyCodec
from transformers import M2M100Config, M2M100ForConditionalGeneration
from transformers.models.m2m_100.modeling_m2m_100 import M2M100Encoder

State = dict[str, Any]

# The tokenizer's first ids are pad, unk, bos, eos; fairseq's and Hugging Face's rows are in the
# order bos, pad, eos, unk. Both lists say which of the other's rows to take.
TO_FAIRSEQ, FROM_FAIRSEQ = [2, 0, 3, 1], [1, 3, 0, 2]

_FAIRSEQ_NAMES = (
    ("encoder_frontend.embed.", "embed_tokens."),
    ("decoder_frontend.embed.", "embed_tokens."),
    ("final_proj.", "output_projection."),
    ("encoder.layers.", "layers."),
    ("decoder.layers.", "layers."),
    ("decoder.layer_norm.", "layer_norm."),
    (".output_proj.", ".out_proj."),
    (".ffn.inner_proj.", ".fc1."),
    (".ffn.out_proj.", ".fc2."),
    (".ffn_layer_norm.", ".final_layer_norm."),
    (".encoder_decoder_attn", ".encoder_attn"),
)


def write(codec: ToyCodec, folder: Path) -> None:
    """Write fairseq2/, fairseq/ and huggingface/; raise AssertionError if one is not right."""
    _fairseq2(codec, folder / "fairseq2")
    _fairseq(codec, folder / "fairseq")
    _hugging_face(codec, folder / "huggingface")


def _fairseq2(codec: ToyCodec, folder: Path) -> None:
    folder.mkdir(parents=True)
    torch.save({"model": codec.encoder.state_dict()}, folder / "encoder.pt")
    torch.save({"model": codec.decoder.state_dict()}, folder / "decoder.pt")
    _write_heads(folder)


def _fairseq(codec: ToyCodec, folder: Path) -> None:
    folder.mkdir(parents=True)
    # What fairseq's modules keep beside their weights.
    extras = {"version": torch.tensor([3.0]), "embed_positions._float_tensor": torch.zeros(1)}
    encoder = {**extras, **_fairseq_names(codec.encoder.state_dict())}
    decoder = {**extras, **_fairseq_names(codec.decoder.state_dict())}
    torch.save({"state_dict": encoder}, folder / "encoder.pt")
    torch.save({"state_dict": decoder}, folder / "decoder.pt")
    _write_heads(folder)
    # sonar-space's converter for encoders wants a pickled module and does not rename any more
    # (0.5.0); that for decoders works, and the names inside the layers are the same.
    copy = {name: tensor.clone() for name, tensor in decoder.items()}
    back = _convert_sonar_text_decoder_checkpoint({"state_dict": copy}, None)  # type: ignore
    own = codec.decoder.state_dict()
    # The converter permutes only the embedding: in fairseq the projection is the same tensor.
    assert back.keys() == own.keys(), back.keys() ^ own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own if name != "final_proj.weight")


def _fairseq_names(state: State) -> State:
    """Return fairseq's names, the embedding's rows in fairseq's order and still shared."""
    renamed = {}
    for name, tensor in state.items():
        for old, new in _FAIRSEQ_NAMES:
            name = name.replace(old, new)
        renamed[name] = tensor
    renamed["embed_tokens.weight"] = _permuted(renamed["embed_tokens.weight"], TO_FAIRSEQ)
    if "output_projection.weight" in renamed:
        renamed["output_projection.weight"] = renamed["embed_tokens.weight"]
    return renamed


def _hugging_face(codec: ToyCodec, folder: Path) -> None:
    """Write what transformers itself writes from its own modules, loaded strictly."""
    vocab = codec.tokenizer.vocab_info.size
    encoder = M2M100Encoder(_m2m100_config(vocab, LAYERS))
    encoder.load_state_dict(_fairseq_names(codec.encoder.state_dict()))
    encoder.eval().save_pretrained(folder / "encoder")

    # An encoder comes along that no one needs, as in the published decoder: one small layer.
    decoder = M2M100ForConditionalGeneration(_m2m100_config(vocab, 1))
    state = _fairseq_names(codec.decoder.state_dict())
    embedding = state.pop("embed_tokens.weight")
    del state["output_projection.weight"]
    decoder.model.decoder.load_state_dict({**state, "embed_tokens.weight": embedding})
    assert torch.equal(decoder.lm_head.weight, embedding)
    decoder.eval().save_pretrained(folder / "decoder", safe_serialization=False)
    (folder / "decoder" / "generation_config.json").unlink(missing_ok=True)
    _check_hugging_face(codec, folder)


def _check_hugging_face(codec: ToyCodec, folder: Path) -> None:
    encoder = M2M100Encoder.from_pretrained(folder / "encoder").eval()
    decoder = M2M100ForConditionalGeneration.from_pretrained(folder / "decoder").eval()
    text, lang = "Lily took the ☃ kite to the lake.", "eng_Latn"
    ids = codec.tokenizer.create_encoder(lang=lang)(text).long().unsqueeze(0)
    target = codec.tokenizer.create_encoder(lang="fra_Latn", mode="target")(text).long()
    target = target.unsqueeze(0)
    vector = codec.encode([text], lang)
    with torch.inference_mode():
        hidden = encoder(input_ids=_their_ids(ids)).last_hidden_state
        assert (hidden.mean(dim=1) - vector).abs().max() < 1e-5
        logits = decoder(
            encoder_outputs=(vector.unsqueeze(1),), decoder_input_ids=_their_ids(target)
        ).logits
        ours = codec.logits(vector, target)
    ours = torch.cat([ours[..., TO_FAIRSEQ], ours[..., 4:]], dim=-1)
    assert F.l1_loss(logits, ours) < 1e-5
    assert (logits - ours).abs().max() < 1e-4


def _their_ids(ids: Tensor) -> Tensor:
    """Tokenizer ids -> ids in fairseq's order."""
    rows = torch.tensor(TO_FAIRSEQ)
    return torch.where(ids < 4, rows.argsort()[ids.clamp(max=3)], ids)


def _permuted(embedding: Tensor, rows: list[int]) -> Tensor:
    return torch.cat([embedding[rows], embedding[4:]])


def _m2m100_config(vocab: int, encoder_layers: int) -> M2M100Config:
    return M2M100Config(
        vocab_size=vocab,
        d_model=WIDTH,
        encoder_layers=encoder_layers,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FFN,
        decoder_ffn_dim=FFN,
        activation_function="relu",
        scale_embedding=True,
        max_position_embeddings=1024,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )


def _write_heads(folder: Path) -> None:
    # No published checkpoint needs this file: their heads are of size 64. These are of size 32.
    heads = {"encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS}
    (folder / "config.json").write_text(json.dumps(heads) + "\n", encoding="utf-8")
