"""The original codec: sonar-space's own modules, tokenizer and pipelines as a `Codec`.

It is the reference that vectors and tokens of the native codec are compared to. It is slower, and
heavy to install: the extra `sonar-space` brings one exact CUDA build of torch (several gigabytes)
and needs the system library libsndfile. The weights come from the same files as the native codec's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonar_cli.errors import SonarError, UsageError
from sonar_cli.model.codec.base import Decoded, OnTruncated, check_vectors, prefix_ids, source_ids
from sonar_cli.model.codec.tokenizer import EOS, Tokenizer, model_file
from sonar_cli.model.sampling import Sampling
from sonar_cli.model.shapes import ENCODER_MAX_LEN, TransformerConfig

MISSING = (
    "sonar-space is not installed; pip install 'sonar-llm[sonar-space]' brings it (several GB, a "
    "CUDA build of torch, and it needs the system library libsndfile), or leave out --codec"
)


class SonarSpaceCodec:
    """A `Codec` that encodes and decodes with sonar-space's pipelines."""

    def __init__(
        self, encoder: Any, decoder: Any, tokenizer: Any, own: Tokenizer, device: torch.device
    ) -> None:
        from sonar.inference_pipelines import text

        self.tokenizer = own
        self.width = int(encoder.encoder_frontend.embed.weight.shape[1])
        self.device = device
        self._vocab = tokenizer.vocab_info
        self._to_vectors = text.TextToEmbeddingModelPipeline(encoder, tokenizer, device=device)
        self._to_text = text.EmbeddingToTextModelPipeline(decoder, tokenizer, device=device)

    @property
    def max_len(self) -> int:
        """The most tokens of a sentence that the encoder reads, language token and eos included."""
        return ENCODER_MAX_LEN

    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        """Return the vectors (N, D) of N sentences, float32; see `Codec.encode`."""
        source_ids(self, sentences, lang, on_truncated)
        if not sentences:
            return torch.empty(0, self.width, device=self.device)
        vectors = self._to_vectors.predict(
            list(sentences), source_lang=lang, batch_size=batch_size, max_seq_len=self.max_len
        )
        return vectors.float().clone()

    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        batch_size: int = 32,
        sampling: Sampling | None = None,
    ) -> list[Decoded]:
        """Return the most likely sentence of each vector (N, D); see `Codec.decode`."""
        if sampling:
            raise UsageError("sonar-space draws no tokens; leave out --token-temperature")
        prefix = prefix_ids(self, lang, max_tokens)
        check_vectors(self, vectors)
        decoded = []
        for batch in vectors.to(self.device).split(batch_size):
            found = search(self._to_text.model, self._vocab, batch, prefix, beam_size, max_tokens)
            for hypotheses in found.hypotheses:
                ids = tuple(hypotheses[0].seq.tolist())
                score = float(hypotheses[0].score)
                decoded.append(Decoded(self.tokenizer.decode(ids), ids, score))
        return decoded


def require() -> None:
    """Raise SonarError, which says how to install sonar-space, if it is not installed."""
    try:
        import fairseq2.models.nllb.tokenizer  # noqa: F401
        import sonar.models.sonar_text  # noqa: F401
    except (ImportError, OSError) as error:
        raise SonarError(MISSING) from error


def build(
    encoder: tuple[TransformerConfig, dict[str, Tensor]],
    decoder: tuple[TransformerConfig, dict[str, Tensor]],
    tokenizer: Path,
    device: torch.device,
    dtype: torch.dtype,
) -> SonarSpaceCodec:
    """Build the codec from an encoder, a decoder and a SentencePiece file.

    The tensors have fairseq2's names. Raises SonarError if sonar-space is not installed, and
    UsageError for a tokenizer.json, which it does not read.
    """
    require()
    if model_file(tokenizer).suffix == ".json":
        raise UsageError(
            f"sonar-space does not read {tokenizer}; give --tokenizer a SentencePiece *.model file"
        )
    from fairseq2.models.nllb.tokenizer import NllbTokenizerConfig, load_nllb_tokenizer
    from sonar.models.sonar_text import factory

    own = Tokenizer.load(tokenizer)
    languages = NllbTokenizerConfig(langs=list(own.languages), default_lang=own.languages[0])
    theirs = load_nllb_tokenizer(model_file(tokenizer), languages)
    shape, state = encoder
    built = factory.SonarTextEncoderFactory(_config("encoder", shape)).create_model()
    built.load_state_dict(state)
    built_decoder = build_decoder(*decoder)
    return SonarSpaceCodec(
        built.to(device, dtype).eval(), built_decoder.to(device, dtype), theirs, own, device
    )


def build_decoder(config: TransformerConfig, state: dict[str, Tensor]) -> Any:
    """Build sonar-space's decoder from tensors with fairseq2's names, without copying them.

    Raises SonarError if sonar-space is not installed.
    """
    require()
    from sonar.models.sonar_text import factory

    tied = {"final_proj.weight": state["decoder_frontend.embed.weight"]}
    built = factory.SonarTextDecoderFactory(_config("decoder", config)).create_model()
    built.load_state_dict(state | tied, assign=True)
    return built.requires_grad_(False).eval()


def with_no_encoder(decoder: Any) -> Any:
    """Wrap a decoder as the model that `search` takes; its encoder passes vectors on unchanged."""
    from sonar.models.sonar_translation import SonarEncoderDecoderModel
    from sonar.models.sonar_translation.model import DummyEncoderModel

    return SonarEncoderDecoderModel(DummyEncoderModel(), decoder).eval()


def vocabulary(size: int) -> Any:
    """Return what `search` has to know of a tokenizer with `size` tokens."""
    from fairseq2.data.tokenizers import VocabularyInfo

    return VocabularyInfo(size=size, unk_idx=1, bos_idx=2, eos_idx=EOS, pad_idx=0)


def search(
    model: Any,
    vocab: Any,
    vectors: Tensor,
    prefix: Tensor,
    beam_size: int,
    max_tokens: int,
    at_least: int = 1,
) -> Any:
    """Run fairseq2's beam search on vectors (N, D), from a prefix (P,) int64; return its output.

    No sentence ends before `at_least` tokens after the prefix.
    """
    from fairseq2.generation.beam_search.generator import BeamSearchSeq2SeqGenerator
    from fairseq2.nn import BatchLayout

    generator = BeamSearchSeq2SeqGenerator(
        model,
        vocab,
        beam_size=beam_size,
        min_gen_len=at_least,
        max_seq_len=max_tokens,
        # fairseq2's default limit is relative to the length of a source, for which it would take D.
        max_gen_len=(0.0, max_tokens),
    )
    prompts = prefix.expand(len(vectors), -1)
    return generator(vectors, BatchLayout.of(vectors), prompts, BatchLayout.of(prompts))


def _config(half: str, shape: TransformerConfig) -> Any:
    from fairseq2.data.tokenizers import VocabularyInfo
    from sonar.models.sonar_text import config as configs

    kind = {
        "encoder": configs.SonarTextEncoderConfig,
        "decoder": configs.SonarTextDecoderConfig,
    }[half]
    extra: dict[str, Any] = {}
    if half == "encoder":
        extra = {"pooling": "mean", "_from_fairseq": True}
    # 512 tokens for both: the encoder's factory adds pad_idx + 1 = 2 positions by itself.
    return kind(
        model_dim=shape.width,
        max_seq_len=512,
        vocab_info=VocabularyInfo(
            size=shape.vocab_size, unk_idx=1, bos_idx=2, eos_idx=3, pad_idx=1
        ),
        activation_fn="ReLU",
        no_scale_embedding=False,
        no_token_positional_embeddings=False,
        learned_pos=False,
        emb_dropout_p=0.0,
        attention_dropout_p=0.0,
        activation_dropout_p=0.0,
        normalize_before=True,
        num_encoder_layers=shape.layers,
        num_decoder_layers=shape.layers,
        num_encoder_attn_heads=shape.heads,
        num_decoder_attn_heads=shape.heads,
        ffn_inner_dim=shape.ffn,
        **extra,
    )
