"""Windows: hold one bit across windows of training, between which no gradient flows."""

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
    backpropagation, `stateful=True` in Keras. If `lag` >= w, so that there is more than
    one window, the net can learn:

    * label "every", carry "keep": all of it. The answer due in the first window teaches
      the net to write the bit, and each later window teaches it to keep what the carry
      brings.
    * label "last", carry "keep": to read, but not to write. The bit is written in the
      first window, the answer is due in the last, and the gradient from one to the
      other is exactly zero. All that can be learned is to read what the untrained
      weights happen to leave in the carry. At forget bias 1 a lag of some tens leaves
      nothing, and accuracy stays at 1/2 at any width; with gates that hold from the
      start enough can be left to solve the task. This is a limit of the training, not
      of the memory.
    * carry "reset": nothing beyond the first window. The bit is gone, whatever the
      weights. With label "last" accuracy is 1/2; with "every" and n windows at most 1/2
      + 1/(2n): a window that saw no 1 can't know that it is the first.

    Source: truncated backpropagation through time, Williams & Peng (1990); the form
    with x[0] in {0, 1} and then zeros is that of common tutorials on stateful LSTMs.
    """

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
        """Return whether each window starts from a zero carry."""
        return self.carry == "reset"

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw inputs, targets and mask (T, B), window starts (T,).

        In a sequence longer than lag + 1 zeros come before the bit. The bit always
        opens a window: at the end of one, no gradient would ever reach it. An answer is
        due only after the bit.
        """
        bit = integers(key, (batch,), 0, 2)
        return self.enumerated(bit, lag, length, steps)

    def sequences_in_all(self, lag: int, length: int) -> int:
        """Return 2, one for each bit."""
        return 2

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        """Return the sequences with these bits."""
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
        """Hold one bit, whatever the lag. Chance is 1/2: at the steps where an answer
        is due the input is always 0."""
        return Facts(held=1, bits=1.0, chance=0.5)
