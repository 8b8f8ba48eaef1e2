"""SONAR's text decoder: a sentence vector and the tokens so far to the next token's logits.

The original attends over the encoder's output, which is exactly one vector: the softmax over one
score is 1, whatever the queries and keys are. Each layer's cross-attention is therefore the
constant `out_proj(v_proj(z))`, computed once a sentence; its q, k and norm are never needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.layers import Embedding, FeedForward, SelfAttention
from sonar_cli.model.shapes import TransformerConfig

# Positions by which the memory of a search grows.
_GROWTH = 32

# extend(keys, values), the new positions' -> those of all positions, each (R, h, T, hd)
Extend = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class DecoderState:
    """What a search remembers: every layer's keys and values of R rows, in one piece of memory.

    `constants` (L, R, 1, D) are the layers' cross-attention. Rows are reordered in place, and only
    from the first position on at which some row changes: hypotheses of one text mostly differ in
    their last few tokens.
    """

    def __init__(self, constants: Tensor, heads: int) -> None:
        layers, rows, _, width = constants.shape
        self.constants = constants
        self.length = 0
        self._memory = constants.new_empty(2, layers, rows, heads, 0, width // heads)
        # What made a row's memory: its text's number, then its tokens.
        self._past = torch.arange(rows, device=constants.device)[:, None]

    @property
    def rows(self) -> int:
        """The number of hypotheses R."""
        return len(self._past)

    def begin(self, ids: Tensor) -> tuple[int, None]:
        """Open a step with the tokens (R, S); return where it starts, and no mask."""
        if self.length and ids.shape[1] > 1:
            raise ValueError("after the first call the decoder takes one position at a time")
        return self.length, None

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one layer's keys and values (R, h, S, hd) of the new positions; return all."""
        end = self.length + keys.shape[2]
        self._reserve(end)
        memory = self._memory[:, layer, : self.rows, :, :end]  # (2, R, h, T, hd)
        memory[0, :, :, self.length :] = keys
        memory[1, :, :, self.length :] = values
        return memory[0], memory[1]

    def advance(self, ids: Tensor) -> None:
        """Close a step: the tokens (R, S) are part of the past now."""
        self._past = torch.cat([self._past, ids], dim=1)
        self.length += ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]`; rows (R',) int64."""
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
        """Return the number of leading positions at which every new row finds its own memory."""
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
    """What a search remembers, in memory of a fixed size at a position that is a tensor.

    Nothing is allocated or looked at from step to step, so that a CUDA graph can repeat one. All
    of the memory is attended to, with a mask. `capacity` positions, the same rows throughout.
    """

    def __init__(self, constants: Tensor, heads: int, capacity: int) -> None:
        layers, rows, _, width = constants.shape
        self.constants = constants
        self.position = torch.zeros(1, dtype=torch.int64, device=constants.device)
        # Zeros, because what the mask hides is multiplied by 0, and that must not make NaN.
        self._memory = constants.new_zeros(2, layers, rows, heads, capacity, width // heads)
        self._places = torch.arange(capacity, device=constants.device)
        self._new = self._places[:1]

    def restart(self, constants: Tensor) -> None:
        """Begin anew with other vectors' constants (L, R, 1, D)."""
        self.constants.copy_(constants)
        self.position.zero_()

    def begin(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Open a step with the tokens (R, S); return their positions, and a mask (S, capacity)."""
        self._new = self.position + self._places[: ids.shape[1]]
        return self._new, self._places <= self._new[:, None]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's keys and values (R, h, S, hd) at their positions; return all."""
        memory = self._memory[:, layer]  # (2, R, h, capacity, hd)
        memory[0].index_copy_(2, self._new, keys)
        memory[1].index_copy_(2, self._new, values)
        return memory[0], memory[1]

    def advance(self, ids: Tensor) -> None:
        """Close a step of tokens (R, S)."""
        self.position += ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]`, of the same text; rows (R,) int64."""
        self._memory.copy_(self._memory.index_select(2, rows))


class VectorAttention(nn.Module):
    """Cross-attention to a single vector, folded to its constant."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (N, D) -> (N, 1, D), the same for every token of the sentence."""
        constant: Tensor = self.out(self.v(vectors)).unsqueeze(1)
        return constant


class DecoderLayer(nn.Module):
    """Pre-norm block: causal self-attention, the vector's constant, feed-forward."""

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
        """X (N, S, D), constant (N, 1, D) -> (N, S, D).

        `extend` adds what came before, and `mask` (S, T) bool tells where there is anything.
        Without it several positions at once come first, and see none that follow them.
        """
        q, k, v = self.self_attn.project(self.self_attn_norm(x))
        if extend is not None:
            k, v = extend(k, v)
        causal = mask is None and q.shape[2] > 1
        x = x + self.self_attn.attend(q, k, v, mask, causal)
        x = x + constant
        result: Tensor = x + self.ffn(self.ffn_norm(x))
        return result


class TextDecoder(nn.Module):
    """Vectors and `[eos] [lang] pieces` -> logits; the output projection is the embedding."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width, config.max_len)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        # The output projection laid out for few rows, once the model is prepared for running.
        self.head: nn.Module | None = None

    @property
    def tied(self) -> Tensor | None:
        """The weight (V, D) of the output projection while it has no module of its own."""
        return self.embed.weight if self.head is None else None

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Teacher forcing: vectors (N, D), ids (N, S) int64 -> logits (N, S, V)."""
        return self.project(self.hidden(vectors, ids))

    def hidden(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Teacher forcing: vectors (N, D), ids (N, S) int64 -> hidden states (N, S, D)."""
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, layer.vector_attn(vectors))  # type: ignore[operator]
        result: Tensor = self.norm(x)
        return result

    def start(self, vectors: Tensor) -> DecoderState:
        """Vectors (N, D) -> the state before any token, a row a vector."""
        return DecoderState(self.constants(vectors), self.config.heads)

    def step(self, ids: Tensor, state: DecoderState | StaticState) -> Tensor:
        """Ids (R, S) after those in `state`, which grows -> logits (R, S, V).

        Only the first call takes several positions at once.
        """
        start, mask = state.begin(ids)
        x = self.embed(ids, start)
        for number, layer in enumerate(self.layers):
            x = layer(x, state.constants[number], partial(state.extend, number), mask)
        state.advance(ids)
        return self.project(self.norm(x))

    def project(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> logits (..., V)."""
        if self.head is not None:
            logits: Tensor = self.head(hidden)
            return logits
        return F.linear(hidden, self.embed.weight)

    def constants(self, vectors: Tensor) -> Tensor:
        """Vectors (N, D) -> every layer's cross-attention (L, N, 1, D)."""
        return torch.stack([layer.vector_attn(vectors) for layer in self.layers])  # type: ignore[operator]
