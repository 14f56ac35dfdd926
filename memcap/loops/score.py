"""The loss and the score of a network, as sums over the answers that are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Targets:
    """The targets of a batch, and where an answer is due."""

    # (T, B), or (B,) for the last step: int classes, or values; (O, ...) for several
    # values
    values: Any
    mask: Any  # bool, (T, B) or (B,), where an answer is due; None: everywhere
    # "classes": cross entropy (nats), with hits as the score. "values": squared error
    # as both, averaged over several values
    loss: Literal["classes", "values"] = field(metadata={"static": True})


class Sums(NamedTuple):
    """Sums over the answers that are due, each a scalar."""

    loss: Any
    score: Any
    number: Any  # of these answers


def loss_and_score_sums(outputs: Float[Array, "O *T B"], targets: Targets) -> Sums:
    """Score outputs: logits of classes, or values."""
    values = targets.values
    if targets.loss == "classes":
        classes = jnp.arange(len(outputs)).reshape(-1, *[1] * values.ndim)
        is_target = classes == values
        loss = jax.nn.logsumexp(outputs, axis=0)
        loss = loss - jnp.where(is_target, outputs, 0).sum(0)
        score = (jnp.argmax(outputs, axis=0) == values).astype(loss.dtype)
    elif values.ndim == outputs.ndim:
        loss = score = ((outputs - values) ** 2).mean(0)
    else:
        loss = score = (outputs[0] - values) ** 2
    mask = targets.mask
    mask = jnp.ones_like(loss) if mask is None else mask.astype(loss.dtype)
    return Sums((loss * mask).sum(), (score * mask).sum(), mask.sum())
