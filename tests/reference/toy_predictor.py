"""Tiny SONAR-LLMs: transformers' Llama, the authors' projections, containers and loop."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import toy_text
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from toy_codec import WIDTH, ToyCodec
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB = 100  # the published files carry 128,256 rows that nothing reads

# As in the authors' JSON files, with fewer of everything.
_SHARED = {
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-06,
    "use_cache": True,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
}


def _rope(original: int, factor: float = 32.0) -> dict[str, Any]:
    return {
        "factor": factor,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": original,
        "rope_type": "llama3",
    }


CONFIGS: dict[str, dict[str, Any]] = {
    # Heads times head size is not the hidden size; all three branches of the rotary scaling.
    "wide-heads": {
        "llama_config": {
            **_SHARED,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "head_dim": 32,
            "rope_theta": 500000.0,
            "rope_scaling": _rope(64, 8.0),
        },
        "embed_dim": WIDTH,
        "add_begin": False,
    },
    # Keys and values shared by groups of heads; an original length that every position exceeds.
    "grouped-heads": {
        "llama_config": {
            **_SHARED,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_theta": 10000.0,
            "rope_scaling": _rope(8),
            "tie_word_embeddings": False,
        },
        "embed_dim": WIDTH,
        "add_begin": True,
    },
    # Nothing said about the size of a head, as in older files; no add_begin.
    "bare": {
        "pretrained_model_name_or_path": "meta-llama/Llama-3.2-1B",
        "llama_config": {
            **_SHARED,
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "rope_theta": 500000.0,
            "rope_scaling": _rope(8192),
        },
        "embed_dim": WIDTH,
    },
}


class Projector(nn.Module):
    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Predictor(nn.Module):
    """The authors' SonarInferenceWrapper; the codec's decoder lies beside it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        llama = LlamaConfig(**config["llama_config"], vocab_size=VOCAB)
        self.llama_model = LlamaForCausalLM(llama)
        self.forward_proj = Projector(config["embed_dim"], llama.hidden_size)
        self.reverse_proj = Projector(llama.hidden_size, config["embed_dim"])

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (B, T, D) -> next vectors (B, T, D)."""
        proj = self.forward_proj(vectors)
        out = self.llama_model(inputs_embeds=proj, output_hidden_states=True)
        return self.reverse_proj(out.hidden_states[-1])


@dataclass
class Turn:
    text: str
    similarity: float
    fidelity: float


def build(config: dict[str, Any], codec: ToyCodec, steps: int, seed: int) -> Predictor:
    """Build a predictor and train it on the toy stories, half of them after "Begin of text."."""
    predictor = Predictor(config)
    with torch.no_grad():
        for name, parameter in predictor.named_parameters():
            if "norm" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
            elif "llama_model.model.layers" in name:
                # transformers' own start is so small that attention would hardly show.
                parameter.normal_(std=1 / math.sqrt(parameter.shape[1]))
    stories = [
        codec.encode([toy_text.BEGIN, *story, toy_text.END], "eng_Latn")
        for story in toy_text.stories()
    ]
    everything = torch.stack(stories)  # (stories, 7, D)
    scale = everything.std()
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(predictor.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.1)
    for step in range(steps):
        chosen = everything[rng.sample(range(len(everything)), 32), step % 2 :]
        noisy = chosen + 0.03 * scale * torch.randn_like(chosen)
        loss = F.mse_loss(predictor(noisy[:, :-1]) / scale, chosen[:, 1:] / scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(predictor.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return predictor.eval().requires_grad_(False)


def check_branches() -> None:
    """Make sure that "wide-heads" meets short, middle and long wavelengths."""
    llama = CONFIGS["wide-heads"]["llama_config"]
    rope, size = llama["rope_scaling"], llama["head_dim"]
    lengths = [2 * math.pi * llama["rope_theta"] ** (k / size) for k in range(0, size, 2)]
    original = rope["original_max_position_embeddings"]
    low, high = original / rope["low_freq_factor"], original / rope["high_freq_factor"]
    assert min(lengths) < high and max(lengths) > low
    assert any(high < length < low for length in lengths)


def write(predictors: dict[str, Predictor], codec: ToyCodec, folder: Path) -> None:
    """Write the three containers the authors have published, and one more in bfloat16."""
    folder.mkdir(parents=True)
    name = "wide-heads"
    _write_json(name, folder / name / "config.json")
    torch.save(predictors[name].state_dict(), folder / name / "pytorch_model.bin")

    name = "grouped-heads"
    _write_json(name, folder / name / "config.json")
    tensors = {key: value.contiguous() for key, value in predictors[name].state_dict().items()}
    save_file(tensors, folder / name / "model.safetensors", metadata={"format": "pt"})

    name = "bare"
    _write_json(name, folder / f"{name}.json")
    torch.save(_training_checkpoint(predictors[name], codec), folder / f"{name}.pt")


def _training_checkpoint(predictor: Predictor, codec: ToyCodec) -> dict[str, Any]:
    """What the authors' training script saves, some of the frozen decoder's tensors included."""
    decoder = {
        f"sonar_decoder.model.decoder.{name}": tensor
        for name, tensor in codec.decoder.state_dict().items()
        if "layer_norm" in name
    }
    optimizer = torch.optim.AdamW(predictor.forward_proj.parameters(), lr=5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _constant)
    return {
        "model_state_dict": {**predictor.state_dict(), **decoder},
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": schedule.state_dict(),
        "epoch": 3,
        "step_in_epoch": 0,
        "global_step": 1234,
        "random_rng_state": random.Random(0).getstate(),
        "numpy_rng_state": np.random.RandomState(0).get_state(),
        "torch_rng_state": torch.get_rng_state(),
        "cuda_rng_state_all": [],
    }


def _constant(step: int) -> float:
    return 1.0


def _write_json(name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(CONFIGS[name], indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def continue_text(
    predictor: Predictor,
    codec: ToyCodec,
    sents_original: list[str],
    threshold: float,
    disturb: Callable[[Tensor], Tensor],
) -> tuple[list[Turn], Turn | None]:
    """The authors' `predict_next_text` after its splitting into sentences.

    Returns what was written and the end sentence, None when the limit came first. `disturb`
    changes each predicted vector (the identity in the authors' code).
    """
    eos_emb = codec.to_vectors.predict([toy_text.END], source_lang="eng_Latn")
    sents = [s.strip() for s in sents_original if s.strip()]
    embeddings = codec.to_vectors.predict(sents, source_lang="eng_Latn")
    written: list[Turn] = []
    while len(sents) <= 32:
        reversed_emb = disturb(predictor(embeddings.unsqueeze(0))[:, -1])
        next_sentence = codec.to_text.predict(
            reversed_emb, target_lang="eng_Latn", max_seq_len=256
        )[0]
        embedding_re = codec.to_vectors.predict([next_sentence], source_lang="eng_Latn")
        sim = F.cosine_similarity(embedding_re, eos_emb, dim=1).item()
        fidelity = F.cosine_similarity(embedding_re, reversed_emb, dim=1).item()
        turn = Turn(next_sentence, sim, fidelity)
        if sim >= threshold:
            return written, turn
        written.append(turn)
        embeddings = torch.cat([embeddings, embedding_re])
        sents.append(next_sentence.strip())
    return written, None
