"""The loss and the score of a network's outputs, as sums over the answers that are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Answers:
    """The right answers."""

    # (T, B), or (B,) for the last step: int classes, or values; (O, ...) for several
    # values
    targets: Any
    due: Any  # bool, (T, B) or (B,), where an answer is due; None: everywhere
    # "classes": cross entropy (nats), with hits as the score. "values": squared error
    # as both, averaged over several values
    loss: Literal["classes", "values"] = field(metadata={"static": True})


class Sums(NamedTuple):
    """Sums over the answers that are due: loss, score, and number of answers; each a scalar."""

    loss: Any
    score: Any
    due: Any


def loss_and_score_sums(outputs: Float[Array, "O *T B"], answers: Answers) -> Sums:
    """Score outputs: logits of classes, or values."""
    targets = answers.targets
    if answers.loss == "classes":
        classes = jnp.arange(len(outputs)).reshape(-1, *[1] * targets.ndim)
        is_target = classes == targets
        loss = jax.nn.logsumexp(outputs, axis=0)
        loss = loss - jnp.where(is_target, outputs, 0).sum(0)
        score = (jnp.argmax(outputs, axis=0) == targets).astype(loss.dtype)
    elif targets.ndim == outputs.ndim:
        loss = score = ((outputs - targets) ** 2).mean(0)
    else:
        loss = score = (outputs[0] - targets) ** 2
    due = jnp.ones_like(loss) if answers.due is None else answers.due.astype(loss.dtype)
    return Sums((loss * due).sum(), (score * due).sum(), due.sum())
