"""SONAR's text decoder: from a sentence vector and the tokens so far to the next token's logits.

The original's cross-attention sees the encoder's output, which is exactly one vector z. The softmax
over one score is 1, whatever the queries and keys are. Each layer's cross-attention is therefore
the constant `out_proj(v_proj(z))`, computed once per sentence. Its queries, keys and norm are never
needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.layers import Embedding, FeedForward, SelfAttention
from sonar_cli.model.recompute import through
from sonar_cli.model.shapes import TransformerConfig

# The fewest positions by which the memory of a `DecoderState` grows.
_GROWTH = 32

# extend(keys, values): takes those of the new positions, each (R, h, S, hd), and returns those of
# all positions so far, each (R, h, T, hd)
Extend = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class DecoderState:
    """The key-value cache of a search over R hypotheses (rows), which grows with their length.

    `constants` (L, R, 1, D) are the L layers' cross-attention. All keys and values lie in one
    tensor; below, h is the number of heads and hd the size of a head. Reordering the rows copies in
    place, and only from the first position at which some row changes, because hypotheses of one
    text mostly share all but their last tokens.
    """

    def __init__(self, constants: Tensor, heads: int) -> None:
        layers, rows, _, width = constants.shape
        self.constants = constants
        self.length = 0
        # (keys and values, L, R, h, capacity, hd)
        self._memory = constants.new_empty(2, layers, rows, heads, 0, width // heads)
        # (R, 1 + length): the number of a row's text, then its tokens. They determine the keys and
        # values of the row.
        self._past = torch.arange(rows, device=constants.device)[:, None]

    @property
    def rows(self) -> int:
        """The number of hypotheses R."""
        return len(self._past)

    def begin(self, ids: Tensor) -> tuple[int, None]:
        """Begin a step with tokens (R, S); return the position of the first one, and no mask.

        Raises ValueError for several positions after the first step.
        """
        if self.length and ids.shape[1] > 1:
            raise ValueError("after the first call the decoder takes one position at a time")
        return self.length, None

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add a layer's new keys and values (R, h, S, hd); return all of them (R, h, T, hd)."""
        end = self.length + keys.shape[2]
        self._reserve(end)
        memory = self._memory[:, layer, : self.rows, :, :end]  # (2, R, h, T, hd)
        memory[0, :, :, self.length :] = keys
        memory[1, :, :, self.length :] = values
        return memory[0], memory[1]

    def advance(self, ids: Tensor) -> None:
        """End a step: count its tokens (R, S) as past."""
        self._past = torch.cat([self._past, ids], dim=1)
        self.length += ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]`, for `rows` (R',) int64."""
        past = self._past[rows]
        same = self._unchanged(past)
        self._past = past
        self.constants = self.constants[:, rows]
        if len(rows) > self._memory.shape[2]:
            self._memory = self._memory[:, :, rows]
        elif same < self.length:
            changed = self._memory[..., same : self.length, :]
            changed[:, :, : len(rows)] = changed.index_select(2, rows)

    def _unchanged(self, past: Tensor) -> int:
        """Return at how many leading positions the memory is already right for every new row.

        `past` (R', 1 + length) are the numbers and tokens of the new rows.
        """
        if len(past) > self.rows:
            return 0
        equal = (past == self._past[: len(past)]).all(0)
        return max(int(equal.long().cumprod(0).sum()) - 1, 0)

    def _reserve(self, length: int) -> None:
        capacity = self._memory.shape[4]
        if length <= capacity:
            return
        longer = max(length, capacity + max(_GROWTH, capacity // 2))
        sizes = list(self._memory.shape)
        sizes[4] = longer
        memory = self._memory.new_empty(sizes)
        memory[..., : self.length, :] = self._memory[..., : self.length, :]
        self._memory = memory


class StaticState:
    """A key-value cache of fixed size: R rows of `capacity` positions, for use in a CUDA graph.

    A step allocates nothing and copies no value to the host, so that a graph can replay it: the
    current position is a tensor. Attention covers all positions, and a mask hides those that are
    not written yet.
    """

    def __init__(self, constants: Tensor, heads: int, capacity: int) -> None:
        layers, rows, _, width = constants.shape
        self.constants = constants
        self.position = torch.zeros(1, dtype=torch.int64, device=constants.device)
        # (keys and values, L, R, h, capacity, hd), as zeros: masked values are multiplied by 0, and
        # uninitialized memory can hold NaN.
        self._memory = constants.new_zeros(2, layers, rows, heads, capacity, width // heads)
        self._places = torch.arange(capacity, device=constants.device)
        self._new = self._places[:1]

    def restart(self, constants: Tensor) -> None:
        """Start a new search with the constants (L, R, 1, D) of other vectors."""
        self.constants.copy_(constants)
        self.position.zero_()

    def begin(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Begin a step with tokens (R, S); return positions (S,) and a mask (S, capacity) bool."""
        self._new = self.position + self._places[: ids.shape[1]]
        return self._new, self._places <= self._new[:, None]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add a layer's new keys and values (R, h, S, hd); return all (R, h, capacity, hd)."""
        memory = self._memory[:, layer]  # (2, R, h, capacity, hd)
        memory[0].index_copy_(2, self._new, keys)
        memory[1].index_copy_(2, self._new, values)
        return memory[0], memory[1]

    def advance(self, ids: Tensor) -> None:
        """End a step of tokens (R, S)."""
        self.position += ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]` of the same text, for `rows` (R,) int64."""
        self._memory.copy_(self._memory.index_select(2, rows))


class VectorAttention(nn.Module):
    """Cross-attention to a single vector, which is a constant: `out(v(vector))`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the constants (N, 1, D) of vectors (N, D), which all tokens of a sentence add."""
        constant: Tensor = self.out(self.v(vectors)).unsqueeze(1)
        return constant

    def dropped(self, vectors: Tensor, count: int, heads: int, dropout: float) -> Tensor:
        """Return `forward` of vectors (N, D) for `count` tokens, (N, count, D), with dropout.

        The one attention weight of each token and head is 0 with probability `dropout`.
        """
        weights = vectors.new_ones(len(vectors), count, heads, 1)
        values = self.v(vectors).unflatten(1, (heads, -1)).unsqueeze(1)  # (N, 1, heads, head size)
        result: Tensor = self.out((F.dropout(weights, dropout) * values).flatten(2))
        return result


class DecoderLayer(nn.Module):
    """A pre-norm block: causal self-attention, the vector's constant, feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn_norm = nn.LayerNorm(config.width)
        self.self_attn = SelfAttention(config.width, config.heads)
        self.vector_attn = VectorAttention(config.width)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.ffn = FeedForward(config.width, config.ffn)

    def forward(
        self,
        x: Tensor,
        constant: Tensor,
        extend: Extend | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the output (N, S, D) of the block for x (N, S, D) and constant (N, 1, D).

        `extend` puts the keys and values of earlier positions in front of the new ones. `mask`
        (S, T) bool is True where a new position may attend. Without a mask, a single position
        attends to all, and several positions are the first ones: they attend causally.
        """
        return self._block(x, constant, extend, mask, 0.0)

    def forced(self, x: Tensor, vectors: Tensor, dropout: float) -> Tensor:
        """Return the output (N, S, D) for x (N, S, D), the first positions, and vectors (N, D).

        `dropout` is applied where fairseq2's layer does: to attention weights, between the
        feed-forward's maps, and to what each part adds.
        """
        if dropout:
            heads = self.self_attn.heads
            constant = self.vector_attn.dropped(vectors, x.shape[1], heads, dropout)
        else:
            constant = self.vector_attn(vectors)
        return self._block(x, constant, None, None, dropout)

    def _block(
        self,
        x: Tensor,
        constant: Tensor,
        extend: Extend | None,
        mask: Tensor | None,
        dropout: float,
    ) -> Tensor:
        q, k, v = self.self_attn.project(self.self_attn_norm(x))
        if extend is not None:
            k, v = extend(k, v)
        causal = mask is None and q.shape[2] > 1
        x = x + F.dropout(self.self_attn.attend(q, k, v, mask, causal, dropout), dropout)
        x = x + F.dropout(constant, dropout)
        result: Tensor = x + F.dropout(self.ffn(self.ffn_norm(x), dropout), dropout)
        return result


class TextDecoder(nn.Module):
    """SONAR's text decoder: reads a vector and `[eos] [lang] pieces`, returns logits.

    The output projection shares the embedding's weight. Training sets `recompute` to keep only the
    layers' inputs for the backward pass.
    """

    recompute = False

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width, config.max_len)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        # The output projection with packed or int8 weights, if `model.load` has put it here.
        self.head: nn.Module | None = None

    @property
    def tied(self) -> Tensor | None:
        """The embedding's weight (V, D) if it is the output projection, None if `head` is."""
        return self.embed.weight if self.head is None else None

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Return logits (N, S, V) for vectors (N, D) and ids (N, S) int64, by teacher forcing."""
        return self.project(self.hidden(vectors, ids))

    def hidden(self, vectors: Tensor, ids: Tensor, dropout: float = 0.0) -> Tensor:
        """Return the normalized hidden states (N, S, D) that `forward` projects to logits.

        `dropout` is for training alone.
        """
        x = F.dropout(self.embed(ids), dropout)
        for layer in self.layers:
            x = through(layer.forced, x, vectors, dropout, recompute=self.recompute)  # type: ignore[arg-type]
        result: Tensor = self.norm(x)
        return result

    def start(self, vectors: Tensor) -> DecoderState:
        """Return a state without tokens, with one row for each of the vectors (N, D)."""
        return DecoderState(self.constants(vectors), self.config.heads)

    def step(self, ids: Tensor, state: DecoderState | StaticState) -> Tensor:
        """Return the logits (R, S, V) of ids (R, S) int64 after those in `state`; add them to it.

        Raises ValueError for S > 1 after the first step of a `DecoderState`.
        """
        start, mask = state.begin(ids)
        x = self.embed(ids, start)
        for number, layer in enumerate(self.layers):
            x = layer(x, state.constants[number], partial(state.extend, number), mask)
        state.advance(ids)
        return self.project(self.norm(x))

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., V) of hidden states (..., D)."""
        if self.head is not None:
            logits: Tensor = self.head(hidden)
            return logits
        return F.linear(hidden, self.embed.weight)

    def constants(self, vectors: Tensor) -> Tensor:
        """Return all layers' cross-attention (L, N, 1, D) to vectors (N, D)."""
        return torch.stack([layer.vector_attn(vectors) for layer in self.layers])  # type: ignore[operator]
