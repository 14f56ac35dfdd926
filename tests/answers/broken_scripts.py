"""Scripts that are broken in one way each, and sound ones: sound_script.py with another
line.

`python -m tests.answers.broken_scripts` trains and judges them, and prints a table. Of a
broken one it changes the line that the diagnosis prints, and trains and judges it again.
That of PyTorch needs torch, which memcap does not install. The nets before training and
after are kept in broken_scripts.npz.
"""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import memcap
from memcap.models.export import lstm_weights, read_model

HERE = Path(__file__).parent
KEPT = HERE / "broken_scripts.npz"
SCRIPT = (HERE / "sound_script.py").read_text(encoding="utf-8")
ADAM = "Adam(0.03, global_clipnorm=1.0)"
BIASES = "[-4.0, 4.0, 0, 0]"
LARGE = {
    "LSTM(UNITS,": "LSTM(UNITS, kernel_initializer=NORMAL, recurrent_initializer=NORMAL,",
    "UNITS = 4": "UNITS = 4\nNORMAL = keras.initializers.RandomNormal(stddev=10.0)",
}
EXCHANGED = {BIASES: "[4.0, -4.0, 0, 0]"}
SHORT = {"STEPS = 2000": "STEPS = 300"}  # a good start needs no more
BROKEN = {
    "forget": EXCHANGED | SHORT,
    "diverged": {ADAM: "Adam(1.0)"},
    "rate": {ADAM: "Adam(1e-5, global_clipnorm=1.0)"},
    "steps": {"STEPS = 2000": "STEPS = 20"},
    "lags": {"rng.integers(1, 20 + 1)": "20"},
    "before": {"rng.integers(0, 20 - lag + 1)": "0"},
    "cut": {"lstm(inputs)": "lstm(inputs[:, -10:])"},
    "read": {"hidden[:, -1]": "hidden[:, 0]"},
    "start": LARGE | SHORT,
    "width": {"UNITS = 4": "UNITS = 1", "SYMBOLS = 2": "SYMBOLS = 8"},
}
SOUND = {"sound": {}, "biases exchanged": EXCHANGED, "a large start": LARGE}
DRAW = SCRIPT.partition("def build")[0]
TORCH = """
import copy
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(SYMBOLS + 5, UNITS, batch_first=True)
        self.dense = torch.nn.Linear(UNITS, SYMBOLS)

    def forward(self, inputs):
        return self.dense(self.lstm(inputs)[0][:, -1])

torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)
net = Net()
biases = torch.tensor([-4.0, 4.0, 0, 0])
net.lstm.bias_ih_l0.data = biases.repeat_interleave(UNITS)
start = copy.deepcopy(net)
optimizer = torch.optim.Adam(net.parameters(), 0.03)
for _ in range(STEPS):
    inputs, symbols = draw_sequences(rng)
    outputs = net(torch.tensor(inputs, dtype=torch.float32))
    loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(symbols))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
"""
FLAX = """
import jax.numpy as jnp
import optax
from flax import nnx

class Net(nnx.Module):
    def __init__(self, rngs):
        cell = nnx.OptimizedLSTMCell(SYMBOLS + 5, UNITS, rngs=rngs)
        cell.dense_h.bias[...] = jnp.repeat(jnp.array([-4.0, 4.0, 0, 0]), UNITS)
        self.rnn = nnx.RNN(cell)
        self.dense = nnx.Linear(UNITS, SYMBOLS, rngs=rngs)

    @nnx.jit
    def __call__(self, inputs):
        return self.dense(self.rnn(inputs)[:, -1])

def loss(net, inputs, symbols):
    losses = optax.softmax_cross_entropy_with_integer_labels(net(inputs), symbols)
    return losses.mean()

@nnx.jit
def train_step(net, optimizer, inputs, symbols):
    optimizer.update(net, nnx.grad(loss)(net, inputs, symbols))

rng = np.random.default_rng(SEED)
net = Net(nnx.Rngs(SEED))
start = nnx.clone(net)
adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.03))
optimizer = nnx.Optimizer(net, adam, wrt=nnx.Param)
for _ in range(STEPS):
    train_step(net, optimizer, *draw_sequences(rng))
"""
OTHERS = {"torch": DRAW + TORCH, "flax": DRAW + FLAX}  # sound, of other libraries


def script(name):
    """Return the text of a script."""
    if name in OTHERS:
        return OTHERS[name]
    text = SCRIPT
    for part, other in (BROKEN | SOUND)[name].items():
        assert part in text
        text = text.replace(part, other)
    return text


def mended(text, line):
    """Return a script with each statement of a line in place of that which begins alike."""
    for statement in line.split("; "):
        begin = re.escape(re.match(r"[\w.]+( =)?", statement).group())
        indented = rf"\g<1>{statement}"
        text, count = re.subn(rf"(?m)^( *){begin}.*", indented, text)
        assert count == 1
    return text


class Padded:
    """A script's net, which gets zeros before a sequence, as it does in training: it is
    compiled for one length."""

    def __init__(self, net):
        self.get_weights = net.get_weights
        self.net = net

    def __call__(self, inputs):
        before = 22 - inputs.shape[1]
        return self.net.predict_on_batch(np.pad(inputs, [(0, 0), (before, 0), (0, 0)]))


def trained(text):
    """Train by a script; return its names, and the judgement of its net."""
    names = {}
    exec(text, names)
    done = SimpleNamespace(**names)
    knobs = {"symbols": done.SYMBOLS, "start": done.start}
    net = Padded(done.net) if hasattr(done.net, "get_weights") else done.net
    return done, memcap.judge(net, "latch", 20, **knobs)


def weights(net):
    """Return the weights of a net, one after the other, in the order of Keras."""
    cell, readout = lstm_weights(read_model(net)[1]).values()
    return np.concatenate(
        [array.ravel() for array in (*cell.values(), *readout.values())]
    )


def main(names):
    """Train scripts, all of them if none is named."""
    nets = dict(np.load(KEPT)) if KEPT.exists() else {}
    print("| script | lags that are right, to | fault | line | mended, to |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or BROKEN | SOUND | OTHERS:
        text = script(name)
        done, judgement = trained(text)
        nets[name] = np.stack([weights(done.start), weights(done.net)])
        np.savez_compressed(KEPT, **nets)
        cells = [name, judgement.up_to, "", "", ""]
        if judgement.diagnosis:
            print(judgement, file=sys.stderr, flush=True)
            line = judgement.diagnosis.line
            _, again = trained(mended(text, line))
            cells[2:] = judgement.diagnosis.fault, f"`{line}`", again.up_to
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    main(sys.argv[1:])
