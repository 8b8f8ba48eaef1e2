"""FLOPs of a sentence that is written after a context, counted from the shapes of the networks.

A multiply-add is two FLOPs. Matrix products are counted, those of the attention included, as in
Hoffmann et al. 2022 (arXiv 2203.15556, appendix F) and in torch's FlopCounterMode: linear maps,
scores and weighted sums. Left out is what grows with a single width, and so is small beside them:
embeddings, norms, biases, activations, rotary positions, softmax, residual sums, and a search's
choice among logits.

All is counted as the code here computes it. A beam search that goes on after the best sentence has
ended would take more steps. The cross-attention of SONAR's decoder is a constant a sentence. The
two-tower LCM's denoiser computes the keys and values of a context once, as it is read; every step
attends to them with a pair of rows, for guidance.
"""

from __future__ import annotations

from dataclasses import dataclass

from sonar_cli.model.shapes import (
    LCMConfig,
    LlamaConfig,
    PredictorConfig,
    TokenLLMConfig,
    TransformerConfig,
    TwoTowerConfig,
)
from sonar_cli.model.systems.denoiser import WAVES
from sonar_cli.model.systems.diffusion import times

# Tokens that the encoder reads beside a sentence's own, the language and eos, and those that every
# decoded sentence begins with, eos and the language.
_AROUND, _PREFIX = 2, 2
# Rows that the denoiser is given: with context, and without.
_PAIR = 2


@dataclass(frozen=True)
class Flops:
    """The parts of a sentence's FLOPs.

    `encode` turns sentences into vectors, `read` is the network's reading of vectors or tokens,
    `propose` goes from there to the next vector, and `decode` writes the sentence: the decoder's
    beam search, or a token-level model's steps.
    """

    encode: int
    read: int
    propose: int
    decode: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.encode + self.read + self.propose + self.decode


def sentence_level(
    config: PredictorConfig | LCMConfig,
    encoder: TransformerConfig,
    decoder: TransformerConfig,
    sentences: int,
    tokens: int,
    *,
    beam_size: int = 5,
    diffusion_steps: int = 40,
    cached: bool = False,
    masked: bool = True,
) -> Flops:
    """Count one sentence of `tokens` tokens after a context of as long sentences.

    The config is that of a SONAR-LLM, a Base-LCM or a two-tower LCM. Without `cached`, the context
    is encoded and read, and a sentence written. With it the context was read before: a sentence is
    written and read for the next one, and of a SONAR-LLM encoded again. `diffusion_steps` are those
    asked for, as in GenerationOptions.

    `masked` pairs of positions, which causal attention hides, are counted, as FlopCounterMode does
    and as plain kernels compute them; kernels that skip them want False.

    >>> from sonar_cli.evaluation.bench.weights import FULL
    >>> shapes = FULL.predictor, FULL.encoder, FULL.decoder
    >>> found = sentence_level(*shapes, sentences=100, tokens=60)
    >>> [f"{part:.2e}" for part in (found.encode, found.read, found.propose, found.decode)]
    ['6.28e+12', '1.41e+11', '3.15e+06', '4.64e+11']
    >>> f"{sentence_level(*shapes, sentences=100, tokens=60, cached=True).total:.2e}"
    '5.28e+11'
    """
    again = sentences if not cached else int(isinstance(config, PredictorConfig))
    new, before = (1, sentences) if cached else (sentences, 0)
    read = _stack(config, new, before, masked) + new * _linear(config.embed_dim, config.hidden)
    if isinstance(config, TwoTowerConfig):
        read += new * config.denoiser_layers * 2 * _linear(config.hidden, _inner(config))
        steps = len(times(config.diffusion_steps, diffusion_steps))
        propose = steps * _denoiser(config, sentences)
    else:
        propose = _linear(config.hidden, config.embed_dim)
    return Flops(
        encode=again * _encoder(encoder, tokens + _AROUND),
        read=read,
        propose=propose,
        decode=_search(decoder, tokens, beam_size, masked),
    )


def token_level(
    config: TokenLLMConfig,
    sentences: int,
    tokens: int,
    *,
    cached: bool = False,
    masked: bool = True,
) -> Flops:
    """Count one greedy sentence of `tokens` tokens after a context of as long sentences.

    Without `cached` the context is read first, with the logits of its last token alone. The
    sentence's tokens are read one by one, with a cache, until the logits after the last of them say
    that it has ended. `masked` is that of `sentence_level`.

    >>> config = TokenLLMConfig(vocab_size=8_000, hidden=1536, ffn=6144, layers=17, heads=32,
    ...                         kv_heads=32, head_dim=64)
    >>> found = token_level(config, sentences=100, tokens=60)
    >>> f"{found.read:.2e}", f"{found.decode:.2e}"
    ('1.34e+13', '1.35e+11')
    """
    context, head = sentences * tokens, _linear(config.hidden, config.vocab_size)
    read = 0 if cached else _stack(config, context, 0, masked) + head
    steps = range(context, context + tokens)
    decode = sum(_stack(config, 1, before, masked) + head for before in steps)
    return Flops(encode=0, read=read, propose=0, decode=decode)


def _linear(inputs: int, outputs: int) -> int:
    """Count a linear map of one position."""
    return 2 * inputs * outputs


def _attention(pairs: int, width: int) -> int:
    """Count the scores and the weighted sums of pairs of positions; heads share the width."""
    return 2 * 2 * pairs * width


def _pairs(new: int, before: int, masked: bool) -> int:
    """Count the pairs of new positions and those they attend to, the ones before and themselves."""
    return new * (before + new) if masked else new * before + new * (new + 1) // 2


def _stack(config: LlamaConfig, new: int, before: int, masked: bool) -> int:
    """Count a stack of Llama layers that reads new positions after those in its cache."""
    inner, kv = _inner(config), config.kv_heads * config.head_dim
    maps = 2 * _linear(config.hidden, inner) + 2 * _linear(config.hidden, kv)
    maps += 3 * _linear(config.hidden, config.ffn)
    return config.layers * (new * maps + _attention(_pairs(new, before, masked), inner))


def _inner(config: LlamaConfig) -> int:
    """Return the width of all heads together."""
    return config.heads * config.head_dim


def _denoiser(config: TwoTowerConfig, contexts: int) -> int:
    """Count one step of the denoiser for one text: a pair of rows, each over all contexts."""
    hidden, inner = config.hidden, _inner(config)
    own = maps = 2 * _linear(hidden, inner)
    cross = maps + _attention(contexts + 1, inner)  # and the vector of zeros
    layer = own + cross + 3 * _linear(hidden, config.ffn) + _linear(hidden, 9 * hidden)
    time = _linear(WAVES, hidden) + _linear(hidden, hidden)
    around = time + 2 * _linear(config.embed_dim, hidden)
    return _PAIR * (config.denoiser_layers * layer + around)


def _block(config: TransformerConfig) -> int:
    """Count the linear maps of one position in a layer of SONAR's encoder or decoder."""
    return 4 * _linear(config.width, config.width) + 2 * _linear(config.width, config.ffn)


def _encoder(config: TransformerConfig, tokens: int) -> int:
    """Count the encoding of a sentence, language and eos among its tokens."""
    return config.layers * (tokens * _block(config) + _attention(tokens**2, config.width))


def _search(config: TransformerConfig, tokens: int, beam_size: int, masked: bool) -> int:
    """Count a beam search: the prefix, then for every token a step of all beams."""
    constant = 2 * _linear(config.width, config.width)
    positions = _PREFIX + beam_size * tokens
    steps = sum(_pairs(1, _PREFIX + step, masked) for step in range(tokens))
    pairs = _pairs(_PREFIX, 0, masked) + beam_size * steps
    layer = constant + positions * _block(config) + _attention(pairs, config.width)
    return config.layers * layer + positions * _linear(config.width, config.vocab_size)
