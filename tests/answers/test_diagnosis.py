"""The diagnosis of LSTMs that are not right: of scripts that are broken in a known way,
of sound ones, and of nets whose numbers are known."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from breadth import leave
from broken_scripts import BROKEN, KEPT, OTHERS, SOUND
from flax import nnx
from lstm_reference import keras_outputs, sigmoid

import memcap

pytestmark = pytest.mark.usefixtures("quick_file")


class NumPyModel:
    """An LSTM with a read-out, which computes in NumPy, and what a script does to its
    inputs and outputs."""

    def __init__(self, arrays, change=lambda inputs: inputs, answer=lambda each: each):
        self.arrays = arrays
        self.change = change
        self.answer = answer

    def __call__(self, inputs):
        arrays = dict(enumerate(self.arrays))
        return self.answer(keras_outputs(arrays, self.change(inputs)))


class KerasModel(NumPyModel):
    __module__ = "keras.models"

    def get_weights(self):
        return list(self.arrays)


class TorchModule(NumPyModel):
    __module__ = "torch.nn"

    def state_dict(self):
        kernel, recurrent, bias, readout, end = (array.T for array in self.arrays)
        arrays = (kernel, recurrent, 0 * bias, bias, readout, end)
        return {str(k): Tensor(array) for k, array in enumerate(arrays)}

    def __call__(self, tensor):
        return super().__call__(tensor.array)


class Tensor(SimpleNamespace):
    """An array as a tensor of PyTorch, as far as memcap asks for it."""

    def __init__(self, array):
        super().__init__(array=array, cpu=lambda: array)


class FlaxModule(nnx.Module):
    """A module whose read-out comes first in the order of names."""

    def __init__(self, arrays):
        (features, _), (units, _), _, (_, outputs), _ = map(np.shape, arrays)
        rngs = nnx.Rngs(0)
        self.answer = nnx.Linear(units, outputs, rngs=rngs)
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(features, units, rngs=rngs))
        cell = self.rnn.cell
        parts = cell.dense_i.kernel, cell.dense_h.kernel, cell.dense_h.bias
        parts += self.answer.kernel, self.answer.bias
        for part, array in zip(parts, arrays, strict=True):
            part[...] = array

    @nnx.jit
    def __call__(self, inputs):
        return self.answer(self.rnn(inputs))


RNG = np.random.default_rng(0)
MODELS = {"keras": KerasModel, "torch": TorchModule, "flax": FlaxModule}


def blind(forget_bias):
    """The arrays of one unit that sees nothing, for a latch of two symbols."""
    shapes = (7, 4), (1, 4), (4,), (1, 2), (2,)
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    arrays[2][1] = forget_bias
    arrays[3][0] = 1, -1
    return arrays


@pytest.mark.parametrize("library", ["keras", *leave(["torch", "flax"])])
def test_the_numbers_of_a_net_whose_gates_stand_still(library, monkeypatch):
    """Its forget gate is f, so that it holds 1 / (1 - f) steps; a gradient passes it at
    each step from the first to the last but one."""
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=Tensor))
    make = MODELS[library]
    start = make(blind(-1.0))
    judged = memcap.judge(make(blind(0.0)), "latch", 5, start=start, sequences=16)
    shares = sigmoid(np.array([0.0, -1.0]))
    now, before = (f"{hold:.3g}" for hold in 1 / (1 - shares))
    first, earlier = (f"{share:.2g}" for share in shares**5)
    own = {"keras": "bias.assign(np.", "torch": "torch.tensor(", "flax": "jnp.array("}
    assert judged.diagnosis.fault == "forget"
    assert own[library] in judged.diagnosis.line
    assert str(judged).splitlines() == [
        judged.words,
        f"Steps that its forget gates hold: {now} now, {before} before training.",
        "Gradient at the first step, as a share of the last step's:"
        f" {first} now, {earlier} before training.",
        "Fault: Its forget gates hold for 2 steps, and lag 5 is longer.",
        "Change this line, and train it again:",
        f"    {judged.diagnosis.line}",
    ]


def padded(inputs):
    """Put zeros before inputs, up to the length that a script trains at."""
    return np.pad(inputs, [(0, 0), (22 - inputs.shape[1], 0), (0, 0)])


# what a script does to the inputs and the outputs of its LSTM and read-out
CHANGES = {
    "cut": (lambda inputs: inputs[:, -10:], lambda outputs: outputs[:, -1]),
    "lags": (padded, lambda outputs: outputs[:, -1]),
    "read": (lambda inputs: inputs, lambda outputs: outputs[:, 0]),
}


def kept(name):
    """The nets of a script before training and after, and the symbols of its task."""
    symbols, units = (8, 1) if name == "width" else (2, 4)
    shapes = (symbols + 5, 4 * units), (units, 4 * units), (4 * units,)
    shapes += (units, symbols), (symbols,)
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    nets = []
    for vector in np.load(KEPT)[name]:
        pairs = zip(np.split(vector, ends), shapes, strict=True)
        arrays = [part.reshape(shape) for part, shape in pairs]
        nets.append(KerasModel(arrays, *CHANGES.get(name, ())))
    return *nets, symbols


def judge(net, start, symbols=2):
    knobs = {"start": start, "symbols": symbols, "sequences": 32}
    return memcap.judge(net, "latch", 20, **knobs)


@pytest.mark.parametrize("name", leave(BROKEN, lambda name: name in ("forget", "cut")))
def test_a_broken_script_is_named(name):
    start, net, symbols = kept(name)
    assert judge(net, start, symbols).diagnosis.fault == name


@pytest.mark.parametrize("name", leave([*SOUND, *OTHERS]))
def test_a_sound_script_is_accused_of_nothing(name):
    start, net, _ = kept(name)
    judged = judge(net, start)
    assert judged.right
    assert judged.diagnosis is None


def test_a_sound_net_is_not_accused_of_noisy_inputs_or_exchanged_answers():
    start, net, _ = kept("sound")
    noisy = KerasModel(net.arrays, lambda inputs: inputs * RNG.choice(2, inputs.shape))
    assert judge(noisy, start).diagnosis.fault == "random"
    ends = [array[..., ::-1] for array in net.arrays[3:]]
    exchanged = KerasModel(net.arrays[:3] + ends)
    assert judge(exchanged, start).diagnosis.fault == "unknown"
