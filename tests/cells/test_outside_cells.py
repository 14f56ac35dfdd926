"""A cell in a file of the current folder: found by `module:Class`, whether it knows
memcap or only Flax."""

import sys

import jax
import numpy as np
import pytest

from memcap.cells import Cell, cell_class, registry
from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks.latch import Latch

LEAKY = '''
import odd_cells
from flax import nnx


class Leaky(odd_cells.Leaky):
    pass


class Gru(nnx.GRUCell):
    """Of somebody who never heard of memcap."""


NOTHING = 0
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that lies in the current folder and was never imported."""
    (tmp_path / "leaky_cell.py").write_text(LEAKY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "leaky_cell"
    sys.modules.pop("leaky_cell", None)
    registry._outside.clear()


def test_a_class_that_was_defined_anew_is_refused(module, tmp_path):
    """Compiled programs and rows go by the name: the old class would train, or two
    would share one."""
    cell_class(f"{module}:Leaky")
    sys.modules.pop(module)
    with pytest.raises(UserError, match="was defined anew in this process"):
        cell_class(f"{module}:Leaky")


WRONG = """
import jax.numpy as jnp
from flax import nnx
from leaky_cell import Leaky

class Made(Leaky):
    def __init__(self, units):
        pass

class Keeps(Leaky):
    def __init__(self, in_features, hidden_features, *, rngs):
        super().__init__(in_features, 1, rngs=rngs)

class Starts(Leaky):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return self.nothing

class Raises(Leaky):
    def __call__(self, carry, inputs):
        raise RuntimeError("no\\nway")

class Alone(Leaky):
    def __call__(self, carry, inputs):
        return carry

class Shrinks(Leaky):
    def __call__(self, carry, inputs):
        return carry[:, :1], carry

class Rounds(Leaky):
    def __call__(self, carry, inputs):
        return carry.astype(int), carry

class Shows(Leaky):
    def __call__(self, carry, inputs):
        return carry, carry[:, :1]

class Mixes(Leaky):
    def __call__(self, carry, inputs):
        return super().__call__(carry - carry.mean(0), inputs)

class Learns(Leaky):
    def __init__(self, in_features, hidden_features, *, rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.count = nnx.Param(jnp.zeros(()))

    def __call__(self, carry, inputs):
        self.count.set_value(self.count.get_value() + 1)
        return super().__call__(carry, inputs)

class Keeper(Leaky):
    def __call__(self, carry, inputs):
        self.last = nnx.Param(carry)
        return super().__call__(carry, inputs)
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Made", r"__init__ raises TypeError: .*unexpected keyword argument 'rngs'"),
        (
            "Keeps",
            "__init__ keeps hidden_features=1; it must be 3, the number that it was made with",
        ),
        (
            "Starts",
            (
                r"initialize_carry raises AttributeError: .* no attribute 'nothing', at"
                r" .*wrong_cells.py:16"
            ),
        ),
        ("Raises", r"__call__ raises RuntimeError: no, at .*wrong_cells.py:20"),
        ("Mixes", "__call__ gives a sequence other numbers beside another one"),
        ("Learns", "__call__ changes the cell"),
        ("Keeper", "__call__ changes the cell"),
        ("Alone", "__call__ gives .*; it must be the next carry and the hidden state"),
        (
            "Shrinks",
            r"__call__ gives a carry of float32 \(2, 1\); it must be float32 \(2, 3\), as",
        ),
        (
            "Rounds",
            r"__call__ gives a carry of int32 \(2, 3\); it must be float32 \(2, 3\), as",
        ),
        (
            "Shows",
            r"__call__ gives a hidden state of float32 \(2, 1\); it must be of shape \(2, 3\)",
        ),
    ],
)
def test_a_cell_that_takes_no_step_as_cells_do_is_one_line(
    module, tmp_path, name, says
):
    (tmp_path / "wrong_cells.py").write_text(WRONG)
    sys.modules.pop("wrong_cells", None)
    with pytest.raises(UserError, match=f"^model.cell=wrong_cells:{name}: {says}"):
        Member(
            Latch(),
            2,
            model=Model(f"wrong_cells:{name}", units=3),
            recipe=Recipe(init="flax"),
        )


def test_a_cell_of_memcap_s_protocol(module):
    cls = cell_class(f"{module}:Leaky")
    assert issubclass(cls, Cell)
    net = Architecture(Model(f"{module}:Leaky", 3), 2, 2)
    weights = net.init(None, [0])
    impulse = np.eye(8, 1, dtype=np.float32)[:, None, :] * [1, 0]
    _, hidden = net.build(weights).hidden(impulse)
    left = weights["cell"]["kernel"][0] * 0.9 ** np.arange(8)[:, None]
    np.testing.assert_allclose(hidden[:, :, 0], left, rtol=1e-5)


@pytest.mark.breadth
def test_a_cell_that_knows_flax_only_is_the_same_cell(module):
    own, flax = (
        Architecture(Model(name, 3), 2, 2) for name in (f"{module}:Gru", "GRUCell")
    )
    assert not issubclass(sys.modules[module].Gru, Cell)
    assert issubclass(cell_class(f"{module}:Gru"), Cell)
    weights = flax.init(None, [0])
    x = np.array([[0, 1], [1, 1], [0, 1]])
    jax.tree.map(np.testing.assert_array_equal, own.init(None, [0]), weights)
    np.testing.assert_allclose(
        own.build(weights)(x)[1], flax.build(weights)(x)[1], rtol=1e-6
    )
