"""The base of all recurrent cells. A cell is one file with a subclass of `Cell`, such
as memcap/cells/leaky.py; cells of Flax (any `nnx.RNNCellBase`) work as they are."""

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
    return nnx.Param(start(rngs.params(), shape))


class Cell(nnx.RNNCellBase):
    """Base of all cells, which take one step; memcap/loops/ runs them over time.

    A subclass has the constructor `(in_features, hidden_features, *, rngs)`, keeps both
    numbers under these names, and has `__call__(carry, inputs (B, F)) -> carry, hidden
    (B, H)`. All else has a default. Carries and parameters may be any pytree: complex
    numbers, other float types, and integers in the carry are counted.

    Attributes:
        name: its name in `model.cell`; a cell outside the package goes by
            `module:Class`.
        gates: the places of its gates, for named initialisers; None: only its own can
            start it.
        has_own_init: whether its constructor draws weights (`recipe.init=flax`).
        hidden_per_unit: H / U; 1 unless a unit shows the read-out several numbers.
        can_pad: whether a unit of zero weights outputs zero and never learns, and all
            weights are in `gates`: then members of several widths can share a program,
            the narrower ones padded.
        is_lstm: whether an LSTM's hand-set weights and exports fit it.
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
        """Return the zero carry for inputs `(*batch, F)`: by default `(*batch, U)`."""
        return jnp.zeros((*input_shape[:-1], self.hidden_features), self.carry_dtype)

    @property
    def num_feature_axes(self) -> int:
        return 1

    @classmethod
    def draw(
        cls, rng: np.random.Generator, init: Init, features: int, units: int
    ) -> Arrays:
        """Draw weights, {path: array}, by a named initialiser; needs `gates`."""
        assert cls.gates is not None
        return cls.gates.draw(rng, init, features, units)

    @classmethod
    def arrays(
        cls, weights: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return kernel (F, G U), recurrent weights (U, G U) and bias (G U,), if gates
        see input and hidden state."""
        assert cls.gates is not None
        kernel, recurrent, bias = (_at(weights, path) for path in cls.gates.paths)
        return kernel, recurrent, bias

    @classmethod
    def resized(cls, weights: dict[str, Any], units: int) -> Arrays:
        """Return nested weights as {path: array}, with units added or cut."""
        assert cls.gates is not None
        arrays = {path: _at(weights, path) for path in cls.gates.paths}
        return cls.gates.resized(arrays, units)


class DenseCell(Cell):
    """Base of the cells whose units see the input and each other: `preactivation` is
    W_h h + W_x x + b, and the carry is h, one array (B, U)."""

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
        return carry @ self.recurrent[...] + inputs @ self.kernel[...] + self.bias[...]


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    return reduce(getitem, path, tree)
