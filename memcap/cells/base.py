"""The interface of a recurrent cell: Flax's (one step, a zero carry), and facts with defaults.

A cell is one file with a subclass of `Cell`, such as memcap/cells/leaky.py;
CONTRIBUTING.md has the smallest one. In a module of your own it is
`model.cell=my_module:Leaky`. Cells of Flax (or any other `nnx.RNNCellBase`) work as
they are. Carries and parameters may be any pytree: complex numbers, other float types,
and integers in the carry are counted, and trained. A cell does not run itself over
time: memcap/loops/ does.
"""

from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.gates import Arrays, Gates, Init

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    Inputs: TypeAlias = Float[Array, "B F"]
    # the next carry, and the hidden state
    Step: TypeAlias = tuple[Any, Float[Array, "B H"]]
else:  # so that a cell can import them
    Inputs = Step = Any


LECUN = nnx.initializers.lecun_normal()
GLOROT = nnx.initializers.glorot_uniform()


def draw_param(
    rngs: nnx.Rngs, *shape: int, start: nnx.Initializer = LECUN
) -> nnx.Param:
    """Draw a parameter."""
    return nnx.Param(start(rngs.params(), shape))


class Cell(nnx.RNNCellBase):
    """Base of all cells.

    A subclass has the constructor `(in_features, hidden_features, *, rngs)`, keeps both
    numbers under these names, and has `__call__(carry, inputs (B, F)) -> carry, hidden
    (B, H)`. Every other method has a default.

    Attributes:
        name: its name in `model.cell`; a cell outside the package goes by `module:Class`.
        gates: the places of its gates, so that named initialisers can start it; None: only its own
            initialiser can.
        has_own_init: whether its constructor draws weights (`recipe.init=flax`).
        hidden_per_unit: numbers of each unit in the hidden state that the read-out
            sees: H is this times U. 1 unless a unit has several numbers and no gate
            chooses among them.
        can_pad: whether a unit whose weights are all zero outputs zero and never
            learns, and all weights are in `gates`: then members of several widths can
            share a compiled program, the narrower ones padded with such units.
        is_lstm: whether it computes the LSTM's equations, so that an LSTM's hand-set
            weights and exports fit it.
        carry_dtype: of the carry, if that is one array.
    """

    name: ClassVar[str] = ""
    gates: ClassVar[Gates | None] = None
    has_own_init: ClassVar[bool] = True
    hidden_per_unit: ClassVar[int] = 1
    can_pad: ClassVar[bool] = False
    is_lstm: ClassVar[bool] = False
    carry_dtype: ClassVar[Any] = jnp.float32
    in_features: int
    hidden_features: int

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        """Return the zero carry for inputs `(*batch, F)`: by default one array
        `(*batch, U)`."""
        return jnp.zeros((*input_shape[:-1], self.hidden_features), self.carry_dtype)

    @property
    def num_feature_axes(self) -> int:
        """One: features are the last axis."""
        return 1

    @classmethod
    def draw(
        cls, rng: np.random.Generator, init: Init, features: int, units: int
    ) -> Arrays:
        """Draw initial weights by a named initialiser, {path of a parameter: array};
        only for cells with known gates."""
        assert cls.gates is not None
        return cls.gates.draw(rng, init, features, units)

    @classmethod
    def arrays(
        cls, weights: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return kernel (F, G U), recurrent weights (U, G U) and bias (G U,) from the
        nested weights of a cell whose gates see input and hidden state."""
        assert cls.gates is not None
        kernel, recurrent, bias = (_at(weights, path) for path in cls.gates.paths)
        return kernel, recurrent, bias

    @classmethod
    def resized(cls, weights: dict[str, Any], units: int) -> Arrays:
        """Return the nested weights of a cell that `can_pad`, with zero units added or
        taken away: {path: array}."""
        assert cls.gates is not None
        arrays = {path: _at(weights, path) for path in cls.gates.paths}
        return cls.gates.resized(arrays, units)


class DenseCell(Cell):
    """Base of the cells whose units see the input and each other: their sum is W_h h +
    W_x x + b, and the carry is h, one array (B, U)."""

    gates = Gates(("candidate",))
    can_pad = True
    kernel_start: ClassVar[Any] = staticmethod(GLOROT)
    recurrent_start: ClassVar[Any] = kernel_start

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        units = hidden_features
        self.kernel = draw_param(rngs, in_features, units, start=self.kernel_start)
        self.recurrent = draw_param(rngs, units, units, start=self.recurrent_start)
        self.bias = nnx.Param(jnp.zeros(units))

    def preactivation(self, carry: Any, inputs: Inputs) -> Any:
        """Return W_h h + W_x x + b."""
        return carry @ self.recurrent[...] + inputs @ self.kernel[...] + self.bias[...]


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    return reduce(getitem, path, tree)
