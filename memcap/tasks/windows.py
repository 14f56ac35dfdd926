"""Windows of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class Windows(SpanTask):
    """The first bit is the answer; zeros follow; the sequence is trained in windows of w steps,
    the last of which may be cut short.

    Example (w = 3, windows apart by |): 1 0 0 | 0 0 0 | 0 0, lag 7 -> . . 1 | . . 1 | .
    1 (no answer is due at a dot).

    The carry goes from window to window, its gradient does not: truncated
    backpropagation, `stateful=True` in Keras. With more than one window (`lag` >= w):

    * label "every", carry "keep": all can be learned. The first window teaches the net
      to write the bit, each later one to keep it.
    * label "last", carry "keep": only reading can be learned, as no gradient reaches
      the write. At forget bias 1 nothing is left in the carry after some tens of
      steps, more with gates that hold from the start. This limits the training, not
      the memory.
    * carry "reset": nothing beyond the first window. Accuracy is 1/2 with "last"; with
      "every" and n windows at most 1/2 + 1/(2n), as a window that saw no 1 may be the
      first or not.

    Source: truncated backpropagation through time, Williams & Peng (1990)."""

    window: int = knob(10, "steps w in a window", at_least=2, at_most=10_000)
    label: str = knob(
        "every", "windows at whose end an answer is due", choices=("every", "last")
    )
    carry: str = knob(
        "keep", "carry between windows: kept, or reset", choices=("keep", "reset")
    )
    name = "windows"
    filler = "zeros"
    answers = "every"
    vocabulary = 2  # the bits; a first bit of 0 looks like what follows it
    outputs = 2  # one logit per bit

    @property
    def reset_carry(self) -> bool:
        return self.carry == "reset"

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw a batch; no gradient would reach a bit at the end of a window."""
        bit = integers(key, (batch,), 0, 2)
        return self.enumerated(bit, lag, length, steps)

    def sequences_in_all(self, lag: int, length: int) -> int:
        return 2

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(steps)
        age = step - (length - 1 - lag)
        ends = step == length - 1
        if self.label == "every":
            ends |= ((age + 1) % self.window == 0) & (age > 0) & (step < length)
        inputs = jnp.where(age[:, None] == 0, numbers, 0)
        mask = jnp.broadcast_to(ends[:, None], inputs.shape)
        return Batch(inputs, jnp.where(mask, numbers, 0), mask, age % self.window == 0)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit. Chance is 1/2: where an answer is due the input is always 0."""
        return Facts(held=1, bits=1.0, chance=0.5)
