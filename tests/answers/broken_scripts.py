"""Scripts that are broken in one way each, and sound ones: sound_script.py with another
line.

`python -m tests.answers.broken_scripts` trains and judges them, and prints a table. Of a
broken one it changes the line that the diagnosis prints, and trains and judges it again.
The nets before training and after are kept in broken_scripts.npz.
"""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import memcap

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


def script(name):
    """Return the text of a script."""
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
    return done, memcap.judge(Padded(done.net), "latch", 20, **knobs)


def weights(net):
    """Return the weights of a net, one after the other."""
    return np.concatenate([array.ravel() for array in net.get_weights()])


def main(names):
    """Train scripts, all of them if none is named."""
    nets = dict(np.load(KEPT)) if KEPT.exists() else {}
    print("| script | lags that are right, to | fault | line | mended, to |")
    print("| --- | --- | --- | --- | --- |")
    for name in names or BROKEN | SOUND:
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
