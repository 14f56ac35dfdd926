"""Parts of published layers around a cell with a matrix, by suffixes of its name.

    +conv4    queries, keys and values are SiLU of a convolution over the last 4 inputs,
              in place of a kernel over 2, and gates see the last input alone
    +gate     what is read is multiplied by SiLU (kda: a sigmoid) of a linear map of the
              last input
    +skip     mamba2, m2rnn: D times the last value is added to what is read
    +rate     gated_delta_net, kda, gated_delta_product, m2rnn: the log decay is
              multiplied by a learned number, as in mamba2
    +key8     keys and queries have 8 numbers, in place of 16
    +heads2   two such cells side by side, each with U units. After other parts
    +window9  lmu: its memory spans 9 steps, in place of 50
    +clock16  inputs are joined by sine and cosine of the step number, with periods of
              16, 16/2, ... 16/8 steps. Last

For mLSTM and sLSTM: xlstm_parts.py. `LAYERS` of sizes.py names the published layers,
but for what docstrings and sweeps/cells/published_layers/README.md list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step, draw_param
from memcap.cells.delta_product import DeltaProduct
from memcap.cells.gated_delta_net import GatedDeltaNet
from memcap.cells.gated_delta_product import GatedDeltaProduct
from memcap.cells.lmu import LMU, OtherWindow
from memcap.cells.m2rnn import M2RNN
from memcap.cells.mamba2 import Mamba2, log_rate
from memcap.cells.matrix import Gate, MatrixCell, Value, Window, token_shift
from memcap.cells.mlstm import MLSTM
from memcap.cells.slstm import SLSTM
from memcap.cells.xlstm_parts import (
    MLSTMConvolution,
    MLSTMSkip,
    SLSTMConvolution,
    conv_param,
)
from memcap.knobs import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


KERNELS = ("query", "key", "value")


class Convolution(MatrixCell):
    """Makes queries, keys and values by a linear map, a convolution over each number of
    the last `window` steps, and SiLU.

    The carry is S and the last (window - 1) F inputs. Published layers carry the maps,
    (window - 1) (2 K + U) numbers, which follow from the inputs.
    """

    kernel_inputs = 1

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        window = self.window
        for name in KERNELS:
            *writes, _, width = getattr(self, name)[...].shape
            taps = conv_param(rngs, window, *writes, window, width)
            setattr(self, f"{name}_taps", taps)
            if self.conv_bias:
                setattr(self, f"{name}_bias", conv_param(rngs, window, width))

    def project(self, shifted: Window, name: str) -> Float[Array, "*T B N"]:
        summed = shifted @ self.kernel_of(name)
        if self.conv_bias:
            summed = summed + getattr(self, f"{name}_bias")[...]
        return self.activate(summed)

    def kernel_of(self, name: str) -> Float[Array, "*W F4 N"]:
        """Return map and convolution as one kernel, which takes half the time."""
        taps = getattr(self, f"{name}_taps")[...][..., None, :]
        kernel = taps * super().kernel_of(name)[..., None, :, :]
        return kernel.reshape(*kernel.shape[:-3], -1, kernel.shape[-1])

    def activate(self, projected: Float[Array, "*T B N"]) -> Float[Array, "*T B N"]:
        return jax.nn.silu(projected)

    def gates_of(self, shifted: Window) -> list[Gate]:
        return super().gates_of(shifted[..., : self.in_features])


class OutputGate(MatrixCell):
    """Multiplies what is read by a gate: in Mamba-2 before it is normalised, otherwise
    after that."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.output_gate = draw_param(rngs, in_features, hidden_features)

    def show(self, state: Any, shifted: Window) -> Value:
        activation = jax.nn.sigmoid if self.sigmoid_gate else jax.nn.silu
        gate = activation(shifted[..., : self.in_features] @ self.output_gate[...])
        read = self.read(state, shifted)
        if self.norm_before_gate:
            return self.normalize(read) * gate
        return self.normalize(read * gate)


class Skip(MatrixCell):
    """Reads S^T q + D v, with one learned D, or one for each number of a value."""

    skip_each: ClassVar[bool] = False  # whether D has the numbers of a value

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.skip = nnx.Param(jnp.ones(hidden_features if self.skip_each else 1))

    def read(self, state: Any, shifted: Window) -> Value:
        read = super().read(state, shifted)
        return read + self.skip[...] * self.project(shifted, "value")


class Rate(MatrixCell):
    """Decays by a = exp(-r softplus(w x + c)), with one learned number r > 0."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.log_rate = log_rate(rngs, self.least_rate)

    def log_decay(self, gates: list[Gate]) -> Gate:
        log_decay = super().log_decay(gates)
        assert log_decay is not None
        return jnp.exp(self.log_rate[...]) * log_decay


class KeySize(MatrixCell):
    """Has keys and queries of another size."""


class Wrapper(Cell):
    """Base of the parts that hold cells."""

    inner: ClassVar[type[MatrixCell | Heads]]  # the cell inside


class Heads(Wrapper):
    """Cells side by side, as in Mamba-2 with as many groups as heads."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        for k in range(self.hidden_per_unit):
            head = self.inner(in_features, hidden_features, rngs=rngs)
            setattr(self, f"head_{k}", head)

    def _heads(self) -> list[MatrixCell]:
        return [getattr(self, f"head_{k}") for k in range(self.hidden_per_unit)]

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        carries = [
            head.initialize_carry(input_shape, rngs, carry_init)
            for head in self._heads()
        ]
        return tuple(state for state, _ in carries), carries[0][1]

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        states, before = carry
        steps = [
            head((state, before), inputs)
            for head, state in zip(self._heads(), states, strict=True)
        ]
        carries, hidden = zip(*steps, strict=True)
        states = tuple(state for state, _ in carries)
        return (states, carries[0][1]), jnp.concatenate(hidden, -1)


class Clock(Wrapper):
    """Joins each input with a clock of N steps: sine and cosine of 2 pi k t / N for k =
    1, 2, ... N / 2.

    A positional encoding (Vaswani et al. 2017, "Attention is all you need", section
    3.5) with the periods of a Fourier series: a sum of these can be 1 at one step of N
    and equal at all others, and a linear map can turn the clock back. So a key can
    address this step, and a query that of n steps ago.
    """

    period: ClassVar[int]

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        self.layer = self.inner(
            in_features + 2 * (self.period // 2), hidden_features, rngs=rngs
        )

    def _hands(self, step: Int[Array, "*B"]) -> Float[Array, "*B C"]:
        """Return sines and cosines, zeros before the first step. Whole turns are taken
        off, lest digits are lost."""
        part = step[..., None] % self.period
        part = part * jnp.arange(1, self.period // 2 + 1) % self.period
        angle = 2 * jnp.pi / self.period * part
        has_begun = (step >= 0)[..., None]
        return has_begun * jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        *batch, features = input_shape
        joined = self.layer.in_features
        state, before = self.layer.initialize_carry((*batch, joined), rngs, carry_init)
        before = before[..., : before.shape[-1] // joined * features]
        return (state, before), jnp.zeros(tuple(batch), jnp.int32)

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        (state, before), step = carry
        past = before.reshape(len(before), -1, self.in_features)  # the latest first
        clock = self._hands(step[:, None] - jnp.arange(past.shape[1] + 1))
        joined = jnp.concatenate([past, clock[:, 1:]], -1).reshape(len(before), -1)
        timed = jnp.concatenate([inputs, clock[:, 0]], -1)
        (state, _), hidden = self.layer((state, joined), timed)
        last = token_shift(inputs, before)[..., : before.shape[-1]]
        return ((state, last), step + 1), hidden


class Part(NamedTuple):
    """A part of a layer, and the cells that may have it."""

    kind: type[Cell]  # the class that has it
    whole: type[Cell]  # the class of the cells that may have it
    which: str  # these cells, in words
    method: str | None = None  # a method that they must not override; None: any may be
    number: str = ""  # the class attribute that the suffix's number is
    fields: tuple[tuple[str, Any], ...] = ()  # class attributes that the suffix sets


WRITES_ONCE = (
    "a cell with a matrix and one write per step, "
    "as gla, mamba2, delta_net and gated_delta_net"
)
PRODUCTS = "delta_product or gated_delta_product"
ANY_MATRIX = "a cell with a matrix"
BEFORE_CARRY = f"{ANY_MATRIX}, before a variant of its carry"
# By suffix, without its number: a cell gets the first one that it may have.
PARTS = {
    "gate": [
        Part(OutputGate, MatrixCell, WRITES_ONCE, "update"),
        Part(OutputGate, DeltaProduct, PRODUCTS, "update"),
        Part(OutputGate, MLSTM, "mlstm", fields=(("layer_norm", True),)),
    ],
    "skip": [
        Part(Skip, Mamba2, "mamba2", "update"),
        Part(Skip, M2RNN, "m2rnn", "update", fields=(("skip_each", True),)),
        Part(MLSTMSkip, MLSTMConvolution, "mlstm after +conv4"),
    ],
    "rate": [
        Part(Rate, GatedDeltaNet, "gated_delta_net or kda", "update"),
        Part(Rate, GatedDeltaProduct, "gated_delta_product", "update"),
        Part(Rate, M2RNN, "m2rnn", "update"),
    ],
    "conv": [
        Part(Convolution, MatrixCell, WRITES_ONCE, "update", "window"),
        Part(Convolution, DeltaProduct, PRODUCTS, "update", "window"),
        Part(MLSTMConvolution, MLSTM, "mlstm", number="window"),
        Part(
            SLSTMConvolution,
            SLSTM,
            "slstm before a variant of its carry",
            "__call__",
            "window",
        ),
    ],
    "key": [Part(KeySize, MatrixCell, ANY_MATRIX, number="keys")],
    "heads": [Part(Heads, MatrixCell, BEFORE_CARRY, "__call__", "hidden_per_unit")],
    "window": [Part(OtherWindow, LMU, "lmu", number="window")],
    "clock": [
        Part(Clock, MatrixCell, BEFORE_CARRY, "__call__", "period"),
        Part(Clock, Heads, "such a cell after +heads2", "__call__", "period"),
    ],
}
# the numbers that a suffix may end in; those that are not here have none
NUMBERS = {
    "conv": range(2, 17),
    "key": range(1, 257),
    "heads": range(2, 17),
    "window": range(1, 1001),
    "clock": range(2, 65),
}


def part(
    cls: type[Cell], suffix: str, name: str
) -> tuple[type[Cell], dict[str, Any]] | None:
    """Return a part's class and its subclass's attributes; None if there is none. Raise
    UserError if this cell cannot have it."""
    word = suffix.rstrip("0123456789")
    number = suffix.removeprefix(word)
    # a number has one spelling, so that a cell has one name
    if word not in PARTS or number not in map(str, NUMBERS.get(word, [""])):
        return None
    for kind, whole, _, method, attribute, fields in PARTS[word]:
        if not issubclass(cls, whole):
            continue
        if method and getattr(cls, method) is not getattr(whole, method):
            continue
        sets = dict(fields)
        if issubclass(kind, Wrapper):
            sets |= {"inner": cls, "hidden_per_unit": cls.hidden_per_unit}
        if number:
            sets[attribute] = int(number)
        return kind, sets
    *others, last = (part.which for part in PARTS[word])
    which = ", or of ".join([", of ".join(others), last] if others else [last])
    raise UserError(f"model.cell={name}: +{suffix} is a part of {which}")
