"""Compare `memcap fit` with Keras's LSTMs of 1 to 64 units, on three unlike files, each
drawn three times.

KERAS_BACKEND=jax python sweeps/real/beside_keras.py           adds what beside_keras.csv lacks
                                                        (3 minutes of CPU per draw of values)
KERAS_BACKEND=jax python sweeps/real/beside_keras.py values    only of this file

It makes tables of 5,000 sequences, asks `memcap fit` of each with `--split part`, and
trains a net of each width in Keras on the same training sequences, with early stopping
by the same validation. The width whose loss on validation is lowest counts, by its loss
on the same test sequences.

classes.csv  24 events a sequence; its class, at the end, is which of two rare ones came last,
or none
values.csv   20 numbers, and at every step a value: the difference of a slow and a fast running
mean
gaps.csv     10 to 50 steps of two numbers, of which one in seven is missing; two classes at the
end
"""

import glob
import json
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import polars as pl

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
DRAWS = 3  # of each file's sequences
SEQUENCES = 5000
BATCH = 128
EPOCHS = 40
PATIENCE = 5
RATE = 0.01
OUT = Path(__file__).with_name("beside_keras.csv")
FILES = {"classes": [], "values": [], "gaps": ["--missing", "mask"]}


def table(steps: np.ndarray, **columns: np.ndarray) -> pl.DataFrame:
    """Return a table of sequences of so many steps each, from arrays (N, T); three
    fifths of them train."""
    there = np.arange(steps.max()) < steps[:, None]
    sequence, step = np.nonzero(there)
    part = np.array(["train", "train", "train", "validation", "test"])[sequence % 5]
    own = {name: array[there] for name, array in columns.items()}
    return pl.DataFrame({"sequence": sequence, "step": step, "part": part} | own)


def classes(rng: np.random.Generator) -> pl.DataFrame:
    """Events, and which of two came last; one label in ten is drawn at random."""
    events = rng.choice(6, (SEQUENCES, 24), p=[0.04, 0.04, 0.23, 0.23, 0.23, 0.23])
    last = np.full(SEQUENCES, 2)
    for event in events.T:
        last = np.where(event < 2, event, last)
    last = np.where(rng.random(SEQUENCES) < 0.1, rng.integers(0, 3, SEQUENCES), last)
    names = np.array(["open", "shut", "none"])[last]
    return table(
        np.full(SEQUENCES, 24),
        event=np.array(list("osabcd"))[events],
        target=np.repeat(names[:, None], 24, 1),
    )


def values(rng: np.random.Generator) -> pl.DataFrame:
    """Numbers, and at each step the difference of two running means, with noise."""
    seen = rng.normal(size=(SEQUENCES, 20))
    slow = np.zeros(SEQUENCES)
    fast = np.zeros(SEQUENCES)
    target = np.zeros_like(seen)
    for k, numbers in enumerate(seen.T):
        slow = 0.9 * slow + 0.3 * numbers
        fast = 0.5 * fast + 0.7 * numbers
        target[:, k] = slow - fast + 0.2 * rng.normal(size=SEQUENCES)
    return table(np.full(SEQUENCES, 20), seen=seen, target=target)


def gaps(rng: np.random.Generator) -> pl.DataFrame:
    """Two numbers a step, some missing; the class is whether their sums differ, with noise."""
    steps = rng.integers(10, 51, SEQUENCES)
    seen = rng.normal(size=(2, SEQUENCES, 50))
    there = (rng.random(seen.shape) > 1 / 7) & (np.arange(50) < steps[:, None])
    first, second = (seen * there).sum(-1) / steps**0.5
    fault = np.where(
        first - second + 0.3 * rng.normal(size=SEQUENCES) > 0.5, "yes", "no"
    )
    load, heat = np.where(there, seen, np.nan)
    frame = table(steps, load=load, heat=heat, target=np.repeat(fault[:, None], 50, 1))
    return frame.fill_nan(None)


def padded(
    file: str,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], bool]:
    """Read the arrays that `memcap fit` made of a table.

    Returns:
        of training, validation and test: inputs (N, T, F), scaled as training's, zeros
            before a sequence;
        targets (N,) or (N, T, 1); how many answers each sequence has; and whether
        targets are classes.
    """
    with np.load(file) as read:
        arrays = dict(read)
    inputs = arrays["inputs"]
    targets = arrays["targets"]
    split = arrays["split"]
    lengths = arrays.get("lengths", np.full(len(inputs), inputs.shape[1]))
    if inputs.ndim == 2:
        inputs = np.eye(inputs.max() + 1)[inputs]
    else:
        there = (np.arange(inputs.shape[1]) < lengths[:, None])[..., None]
        seen = inputs[split == "train"][
            np.broadcast_to(there, inputs.shape)[split == "train"][..., 0]
        ]
        inputs = there * (inputs - seen.mean(0)) / seen.std(0)
    inputs = np.stack(
        [
            np.roll(each, len(each) - n, 0)
            for each, n in zip(inputs, lengths, strict=True)
        ]
    )
    whole = targets.dtype.kind == "i"
    targets = targets if whole else targets[..., None]
    places = [split == name for name in ("train", "validation", "test")]
    return (
        [inputs[each].astype(np.float32) for each in places],
        [targets[each] for each in places],
        places,
        whole,
    )


def train_keras(file: str, units: int) -> tuple[float, np.ndarray]:
    """Return the loss on validation of a net of Keras, and its loss on each test sequence."""
    inputs, targets, _, whole = padded(file)
    keras.utils.set_random_seed(100)
    net = keras.Sequential(
        [
            keras.Input(inputs[0].shape[1:]),
            keras.layers.LSTM(units, return_sequences=not whole),
            keras.layers.Dense(int(targets[0].max()) + 1 if whole else 1),
        ]
    )
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(RATE, clipnorm=1.0), entropy if whole else "mse")
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    net.fit(
        inputs[0],
        targets[0],
        BATCH,
        EPOCHS,
        verbose=0,
        callbacks=[stop],
        validation_data=(inputs[1], targets[1]),
    )
    losses = []
    for part in (1, 2):
        outputs = net.predict(inputs[part], batch_size=500, verbose=0).astype(
            np.float64
        )
        if whole:
            outputs -= np.log(np.exp(outputs).sum(-1, keepdims=True))
            losses.append(-outputs[np.arange(len(outputs)), targets[part]])
        else:
            losses.append(((outputs - targets[part]) ** 2).mean((1, 2)))
    return float(losses[0].mean()), losses[1]


def compare(name: str, draw: int, number: int) -> list[dict]:
    """Return the losses of memcap fit and of Keras on a file, a line per width."""
    stem = f"{name}-{draw}"
    globals()[name](np.random.default_rng(100 * draw + number)).write_csv(f"{stem}.csv")
    words = [
        "fit",
        f"{stem}.csv",
        "--target",
        "target",
        "--split",
        "part",
        "--workers",
        "1",
        *FILES[name],
    ]
    done = subprocess.run(
        [sys.executable, "-m", "memcap", *words, "--json"],
        check=True,
        stdout=subprocess.PIPE,
    )
    answer = json.loads(done.stdout)
    about = {"draw": draw, "file": name}
    lines = []
    for width in answer["widths"]:
        own = {
            "units": width["units"],
            "validation": None,
            "loss": width["loss"],
            "error": width["error"],
        }
        lines.append(about | {"by": "memcap", "fit": answer["units"], **own})
    (file,) = glob.glob(f"outputs/{stem}/sequences-*.npz")
    for units in WIDTHS:
        validation, losses = train_keras(file, units)
        error = losses.std() / len(losses) ** 0.5
        own = {
            "units": units,
            "validation": validation,
            "loss": losses.mean(),
            "error": error,
        }
        lines.append(about | {"by": "keras", "fit": None, **own})
    return lines


def main() -> None:
    """Compare on each draw of each file."""
    lines = pl.read_csv(OUT).to_dicts() if OUT.exists() else []
    there = {(line["draw"], line["file"]) for line in lines}
    for name in sys.argv[1:] or FILES:
        for draw in range(DRAWS):
            if (draw, name) not in there:
                lines += compare(name, draw, list(FILES).index(name))
                pl.DataFrame(lines, infer_schema_length=None).write_csv(
                    OUT, float_precision=5
                )
                print(
                    f"{name}, draw {draw}: {time.process_time():.0f} s beside memcap fit",
                    flush=True,
                )


if __name__ == "__main__":
    main()
