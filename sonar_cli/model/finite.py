"""Numbers that a network gives are finite, or else its weights are broken: NaN goes no further."""

from __future__ import annotations

from torch import Tensor, nn

from sonar_cli.errors import CheckpointError


def require_finite(vectors: Tensor, network: nn.Module, what: str) -> Tensor:
    """Return vectors (..., D); raise CheckpointError unless their lengths are finite.

    `network` has made them and `what` they are, for the message. A length that is too large for
    float32 is infinite, though no number of the vector is.

    >>> import torch
    >>> require_finite(torch.tensor([float("nan")]), nn.Linear(1, 1), "vectors")
    Traceback (most recent call last):
    sonar_cli.errors.CheckpointError: the model gives NaN or infinite vectors: its weights are \
damaged, or too large for its --dtype; get it again, or try --dtype float32
    """
    if not bool(vectors.float().square().sum(-1).isfinite().all()):
        raise not_finite(network, what)
    return vectors


def not_finite(network: nn.Module, what: str) -> CheckpointError:
    """Return the error that a network, which was read from its `source`, gives such numbers."""
    source = getattr(network, "source", "the model")
    return CheckpointError(
        f"{source} gives NaN or infinite {what}: its weights are damaged, or too large for its "
        "--dtype; get it again, or try --dtype float32"
    )
