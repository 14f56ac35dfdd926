"""Pattern task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class Pattern(SpanTask):
    """The answer at the last step is the class of the last bit and the bit `lag` steps before it.

    Examples: 1 0 0 0 | lag 3 -> 1; 1 0 0 1 -> 2; 0 0 0 1 -> 3; with `classes` = 4 also
    0 0 0 0 -> 0.

    The classes are drawn equally often; the read-out always has four logits. As the
    last bit is in sight, a net without memory is right half of the time with four
    classes, and 2/3 of the time with three.

    With `middle` = "random" nothing marks the bit that counts: the net must also know
    the time.

    Source: the example that users of LSTM layers often ask about, made longer."""

    classes: int = knob(
        4,
        "3: draw the classes 1 to 3 only; 4: also the all-zero class 0",
        choices=(3, 4),
    )
    middle: str = knob(
        "zeros", "the bits between the first and the last", choices=("zeros", "random")
    )
    name = "pattern"
    question = "the class of a pattern that began far back"
    asks = ("classes",)
    vocabulary = 2  # the bits
    outputs = 4  # classes 0 to 3

    @property
    def filler(self) -> str:
        """Zeros; among random bits nothing, as only the time tells which one counts."""
        return "zeros" if self.middle == "zeros" else ""

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax

        class_key, middle_key = jax.random.split(key)
        label = integers(class_key, (batch,), 4 - self.classes, 4)
        inputs = integers(
            middle_key, (steps, batch), 0, 2 if self.middle == "random" else 1
        )
        return self._layout(label, inputs, lag, length)

    def sequences_in_all(self, lag: int, length: int) -> int | None:
        return self.classes if self.middle == "zeros" else None

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        import jax.numpy as jnp

        label = 4 - self.classes + numbers
        zeros = jnp.zeros((steps, len(numbers)), jnp.int32)
        return self._layout(label, zeros, lag, length)

    def _layout(
        self,
        label: Int[Array, " B"],
        inputs: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(len(inputs))[:, None]
        first = (label == 1) | (label == 2)
        last = label >= 2
        inputs = jnp.where(step == length - 1 - lag, first, inputs)
        return Batch(jnp.where(step == length - 1, last, inputs), label)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit. Chance is 1/2, or 2/3 with three classes."""
        return Facts(held=1, bits=1.0, chance=2 / self.classes)
