"""A tiny codec built from sonar-space's own modules, trained, and run by its own pipelines."""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import toy_text
import yaml
from fairseq2.data.tokenizers import VocabularyInfo
from fairseq2.generation.beam_search.generator import BeamSearchSeq2SeqGenerator
from fairseq2.models.nllb.tokenizer import NllbTokenizerConfig, load_nllb_tokenizer
from fairseq2.nn import BatchLayout
from sonar import cards
from sonar.inference_pipelines import text as pipelines
from sonar.models.sonar_text.config import SonarTextDecoderConfig, SonarTextEncoderConfig
from sonar.models.sonar_text.factory import SonarTextDecoderFactory, SonarTextEncoderFactory
from torch import Tensor
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, FFN = 64, 2, 2, 128
PIECES = 300
PAD = 0

_found: list[Any] = []


class _Recorder(BeamSearchSeq2SeqGenerator):
    """sonar-space's pipeline returns text only; keep the hypotheses it found."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = super().__call__(*args, **kwargs)
        _found.extend(output.hypotheses)
        return output


pipelines.BeamSearchSeq2SeqGenerator = _Recorder


@dataclass
class Hypothesis:
    ids: list[int]
    score: float


@dataclass
class ToyCodec:
    """The modules, the tokenizer and sonar-space's two pipelines over them."""

    encoder: Any
    decoder: Any
    tokenizer: Any

    def __post_init__(self) -> None:
        self.to_vectors = pipelines.TextToEmbeddingModelPipeline(self.encoder, self.tokenizer)
        self.to_text = pipelines.EmbeddingToTextModelPipeline(self.decoder, self.tokenizer)

    def encode(self, texts: list[str], lang: str, batch_size: int = 5) -> Tensor:
        """Texts -> (N, D), a copy that autograd may use."""
        return self.to_vectors.predict(texts, source_lang=lang, batch_size=batch_size).clone()

    def decode(
        self, vectors: Tensor, lang: str, beam: int, max_tokens: int, batch_size: int
    ) -> tuple[list[str], list[list[Hypothesis]]]:
        """Vectors (N, D) -> texts and, for each, all finished hypotheses, best first."""
        _found.clear()
        # Without max_gen_len the limit is 128 more than what sonar-space takes for the source's
        # length, the vector's width: never reached at width 1024, but at this one.
        texts = self.to_text.predict(
            vectors,
            target_lang=lang,
            batch_size=batch_size,
            beam_size=beam,
            max_seq_len=max_tokens,
            max_gen_len=(0.0, 512),
        )
        found = [[Hypothesis(h.seq.tolist(), float(h.score)) for h in each] for each in _found]
        return texts, found

    def logits(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Teacher forcing: vectors (N, D), ids (N, S) without padding -> (N, S, V)."""
        source = vectors.unsqueeze(1)
        hidden = self.decoder.decode(ids, BatchLayout.of(ids), source, BatchLayout.of(source))
        return self.decoder.project(hidden)


def languages() -> list[str]:
    """The languages of sonar-space's model card, in its order."""
    card = Path(cards.__path__[0]) / "text_sonar_basic_encoder.yaml"
    for document in yaml.safe_load_all(card.read_text(encoding="utf-8")):
        for value in document.values():
            if isinstance(value, dict) and "langs" in value.get("_set_", {}):
                return value["_set_"]["langs"]
    raise LookupError(f"{card} lists no languages")


def train_pieces(path: Path) -> None:
    """Train a SentencePiece model with the default ids (unk 0, bos 1, eos 2), as NLLB's has."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for fact in toy_text.facts() for text in fact]),
        model_writer=written,
        model_type="unigram",
        vocab_size=PIECES,
        character_coverage=1.0,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written.getvalue())


def build(pieces: Path) -> ToyCodec:
    """Build an untrained codec over a SentencePiece model."""
    config = NllbTokenizerConfig(langs=languages(), default_lang="eng_Latn")
    tokenizer = load_nllb_tokenizer(pieces, config)
    # The models' own pad index is 1, as in sonar-space's architectures; the tokenizer's is 0.
    shared: dict[str, Any] = {
        "model_dim": WIDTH,
        "max_seq_len": 512,
        "vocab_info": VocabularyInfo(
            size=tokenizer.vocab_info.size, unk_idx=1, bos_idx=2, eos_idx=3, pad_idx=1
        ),
        "activation_fn": "ReLU",
        "no_scale_embedding": False,
        "no_token_positional_embeddings": False,
        "learned_pos": False,
        "emb_dropout_p": 0.0,
        "attention_dropout_p": 0.0,
        "activation_dropout_p": 0.0,
        "normalize_before": True,
        "num_encoder_layers": LAYERS,
        "num_decoder_layers": LAYERS,
        "num_encoder_attn_heads": HEADS,
        "num_decoder_attn_heads": HEADS,
        "ffn_inner_dim": FFN,
    }
    encoder = SonarTextEncoderConfig(**shared, pooling="mean", _from_fairseq=True)
    decoder = SonarTextDecoderConfig(**shared)
    return ToyCodec(
        SonarTextEncoderFactory(encoder).create_model(),
        SonarTextDecoderFactory(decoder).create_model(),
        tokenizer,
    )


def train(codec: ToyCodec, steps: int, seed: int) -> float:
    """Train to reconstruct and translate; return the last loss."""
    rng = random.Random(seed)
    parameters = [*codec.encoder.parameters(), *codec.decoder.parameters()]
    parameters = list(dict.fromkeys(parameters))
    with torch.no_grad():
        # Row 1 gets no gradient, being the models' pad; rows 0 and 2 are never seen. They must
        # not be zero, or a wrong order of the first rows would go unnoticed.
        for embed in (codec.encoder.encoder_frontend.embed, codec.decoder.decoder_frontend.embed):
            embed.weight[:4].normal_(std=1 / math.sqrt(WIDTH))
    optimizer = torch.optim.AdamW(parameters, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.1)
    everything = toy_text.facts()
    codec.encoder.train()
    codec.decoder.train()
    for _ in range(steps):
        loss = _loss(codec, toy_text.batch(everything, 64, rng))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    codec.encoder.eval().requires_grad_(False)
    codec.decoder.eval().requires_grad_(False)
    return loss.item()


def _loss(codec: ToyCodec, drawn: list[tuple[str, int, str, int]]) -> Tensor:
    makers = {
        (lang, mode): codec.tokenizer.create_encoder(lang=toy_text.LANGUAGES[lang], mode=mode)
        for lang in range(len(toy_text.LANGUAGES))
        for mode in ("source", "target")
    }
    source, source_layout = _padded([makers[lang, "source"](text) for text, lang, _, _ in drawn])
    target, _ = _padded([makers[lang, "target"](text) for _, _, text, lang in drawn])
    vectors = codec.encoder(source, source_layout).sentence_embeddings
    # Decode what is near the vector, too.
    noise = 0.1 * torch.randn_like(vectors) * vectors.detach().std()
    logits = codec.logits(vectors + noise, target[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)


def _padded(rows: list[Tensor]) -> tuple[Tensor, BatchLayout]:
    seqs = torch.nn.utils.rnn.pad_sequence([r.long() for r in rows], True, PAD)
    return seqs, BatchLayout.of(seqs, [len(r) for r in rows])
