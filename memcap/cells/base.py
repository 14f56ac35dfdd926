"""What memcap asks of a recurrent cell: what Flax asks (one step, a zero carry), a scan over time, and where
its gates are.

A cell is one file with a subclass of `Cell`. Least work, a leaky integrator:

    class Leaky(Cell):
        def __init__(self, in_features, hidden_features, *, rngs):
            self.in_features, self.hidden_features = in_features, hidden_features
            start = nnx.initializers.lecun_normal()
            self.kernel = nnx.Param(start(rngs.params(), (in_features, hidden_features)))

        def __call__(self, carry, inputs):
            carry = 0.9 * carry + inputs @ self.kernel[...]
            return carry, carry

In a module of your own it is `model.cell=my_module:Leaky`. Cells of Flax (or anybody's `nnx.RNNCellBase`)
work as they are. Carries and parameters may be any pytree: complex numbers, other float types, and integers
in the carry count and train.
"""

from functools import cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.gates import Gates, Init
from memcap.cells.plain import plain_scan
from memcap.cells.scan import How, Options, Step, cell_scan


class Cell(nnx.RNNCellBase):
    """Base of all cells.

    A subclass is made by `(in_features, hidden_features, *, rngs)`, keeps both numbers under these names, and
    has `__call__(carry, inputs (B, F)) -> carry, hidden (B, H)`. Every other method has a default.

    Attributes:
        name: how `model.cell` calls it; a cell outside the package goes by `module:Class`.
        gates: where its gates are, so that named initialisers can start it; None: only its own initialiser
        can. own_start: whether its constructor draws weights (`recipe.init=flax`).
        shown: numbers of each unit that the hidden state shows to the read-out, unit by unit: H is `shown`
            times U. 1 but where a unit is more than one number and no gate chooses among them.
        is_lstm: whether it computes the LSTM's equations, so that an LSTM's hand-set weights and exports fit
        it. pads: whether a unit whose weights are all zero says zero and never learns, and all weights are in
        `gates`: then members
            of several widths can share a compiled program, the narrower ones padded with such units.
    """

    name: ClassVar[str] = ""
    gates: ClassVar[Gates | None] = None
    own_start: ClassVar[bool] = True
    shown: ClassVar[int] = 1
    is_lstm: ClassVar[bool] = False
    pads: ClassVar[bool] = False
    in_features: int
    hidden_features: int

    def initialize_carry(self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None) -> Any:
        """The zero carry of inputs `(*batch, F)`: by default one array `(*batch, U)` of float32."""
        del rngs, carry_init
        return jnp.zeros((*input_shape[:-1], self.hidden_features), jnp.float32)

    @property
    def num_feature_axes(self) -> int:
        """One: features are the last axis."""
        return 1

    def scan(
        self,
        carry: Any,
        inputs: jax.Array,
        length: jax.Array,
        flows: jax.Array | None = None,
        *,
        every: bool,
        reset: bool = False,
        readout: jax.Array | None = None,
        how: How = "loop",
        units: jax.Array | None = None,
    ) -> tuple[Any, jax.Array]:
        """Run over the first `length` steps.

        Args:
            carry: the state before the first step, as `initialize_carry` lays it out, batch first.
            inputs: (T, B) int symbols below F, or (T, B, F) floats.
            length: () int, how many of the T steps count; may be traced.
            flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.
            every: return the hidden state of every step, or of the last one only.
            reset: set the carry to zero where `flows` is 0; otherwise only its gradient is cut there.
            readout: (H, O) weights that turn hidden states into outputs, or None.
            how: see memcap/cells/scan.py.
            units: () int, how many of the units count, where the weights of those after them are zero; None:
                all. It changes nothing but, in a loop that can leave them out, the time.

        Returns:
            The carry after `length` steps, and hidden states (T, H, B), zero after `length`, or the last one
            (H, B); with a read-out (T, O, B) or (O, B).
        """
        del units
        if inputs.ndim == 2:
            inputs = jax.nn.one_hot(inputs, self.in_features)
        options = Options(every=every, reset=reset, static=how == "scan")
        carry, hidden = self.over_time(carry, inputs, length, flows, options, how)
        hidden = jnp.swapaxes(hidden, -1, -2)
        return carry, hidden if readout is None else self.read(hidden, readout)

    def over_time(
        self,
        carry: Any,
        inputs: jax.Array,
        length: jax.Array,
        flows: jax.Array | None,
        options: Options,
        how: How,
    ) -> tuple[Any, jax.Array]:
        """`scan` of vectors (T, B, F), with the hidden states as a step gives them: (T, B, H), or the last
        one (B, H)."""
        graph, weights = nnx.split(self)
        step = step_of(graph)
        if how == "plain":
            return plain_scan(
                step, weights, carry, inputs, length, flows, every=options.every, reset=options.reset
            )
        return cell_scan(step, options, weights, carry, inputs, length, flows)

    @staticmethod
    def read(hidden: jax.Array, readout: jax.Array) -> jax.Array:
        """Hidden states (H, B) or (T, H, B) through a read-out (H, O): (O, B) or (T, O, B)."""
        if hidden.ndim == 2:
            return readout.T @ hidden
        steps, units, batch = hidden.shape
        flat = readout.T @ jnp.swapaxes(hidden, 0, 1).reshape(units, -1)
        return jnp.swapaxes(flat.reshape(-1, steps, batch), 0, 1)

    @classmethod
    def draw(
        cls, rng: np.random.Generator, init: Init, features: int, units: int
    ) -> dict[tuple[str, ...], np.ndarray]:
        """A start of the weights by named initialiser: {path of a parameter: array}; only for cells with
        known gates."""
        assert cls.gates is not None
        return cls.gates.draw(rng, init, features, units)

    @classmethod
    def arrays(cls, weights: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kernel (F, G U), recurrent weights (U, G U), bias (G U,) out of the nested weights of a cell whose
        gates see both."""
        assert cls.gates is not None
        assert cls.gates.recurrent is not None
        kernel, recurrent, bias = (
            _at(weights, path) for path in (cls.gates.kernel, cls.gates.recurrent, cls.gates.bias)
        )
        return kernel, recurrent, bias

    @classmethod
    def resized(cls, weights: dict[str, Any], units: int) -> dict[tuple[str, ...], np.ndarray]:
        """The nested weights of a cell that `pads`, with zero units added or taken away: {path: array}."""
        assert cls.gates is not None
        return cls.gates.resized({path: _at(weights, path) for path in cls.gates.paths}, units)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@cache
def step_of(graph: nnx.GraphDef) -> Step:
    """One pure function a cell's structure, so that a trace is shared by all who run it."""
    return lambda weights, carry, x: nnx.merge(graph, weights)(carry, x)
