"""Ask memcap for the widths of thirteen made-up sets whose widths are known.

python docs/known_sets.py
    all sets, each as it is: 24 minutes on one core
python docs/known_sets.py sum30 last --unit 2 --order 1 --most 4
    some of them, in other units and another order of columns; nets of up to 4 units

There are four units, and three orders of columns, symbols and classes. Sets of symbols
have no unit, so they are left out with `--unit`.

What is known: where no net helps; and elsewhere the bits that a net holds, which take 0.6
to 1.3 units each. A parity of 20 bits is open where no net learns it, as it looks like
random labels then.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from memcap.config.member import Engine
from memcap.own.search import WidthSearch
from memcap.own.table import array_form
from memcap.own.task import own_task

COUNT = 2000
OUTPUTS = Path("outputs/known_sets")
# of values, and of numbers that a net sees: x becomes a + b x
UNITS = ((0, 1), (500, 100), (0, 0.001), (-3e6, 2e4))
ORDERS = 3
# what a net has to hold, in bits; a sum is one number, which takes a unit as a bit does
BITS = {
    "marked": 1,
    "copy2": 2,
    "copy3": 3,
    "parity": 1,
    "sum30": 1,
    "random": 0,
    "flips": 1,
    "leak": 0,
    "imbalance": 1,
    "first": 3,
    "first_two": 6,
    "last": 0,
    "sum8": 1,
}
UNITS_A_BIT = (0.6, 1.3)  # of the atlas, from a latch to a copy


def is_right(name: str, units: int | None) -> bool:
    """Return whether a width is one that is known to be right."""
    bits = BITS[name]
    if units is None or not bits:
        return units is None and not bits
    least, most = (round(each * bits) for each in UNITS_A_BIT)
    return least <= units <= most


def made(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs (N, T) or (N, T, F) and the targets (N,) of a set."""
    rng = np.random.default_rng(list(name.encode()))
    bits = rng.integers(0, 2, (COUNT, 30))
    place = rng.integers(0, 29, COUNT)
    mark = np.arange(30) == place[:, None]
    bit = bits[mark]
    marked = np.stack([bits, mark], -1).astype(float)
    symbols = rng.integers(0, 8, (COUNT, 12))
    numbers = rng.normal(size=(COUNT, 30))
    if name == "marked":
        return marked, bit
    if name in ("copy2", "copy3"):
        count = int(name[-1])
        shown = np.where(np.arange(12) < count, bits[:, :12], 2)
        return shown, bits[:, :count] @ 2 ** np.arange(count)
    if name == "parity":
        return bits[:, :20], bits[:, :20].sum(1) % 2
    if name == "sum30":
        return numbers[..., None], numbers.sum(1)
    if name == "random":
        return symbols, bit
    if name == "flips":
        return marked, bit ^ (rng.random(COUNT) < 0.1)
    if name == "leak":
        label = rng.integers(0, 3, (COUNT, 30))
        return np.stack([numbers, numbers[::-1], label], -1), label[:, -1]
    if name == "imbalance":
        rare = rng.random(COUNT) < 0.05
        return np.stack([np.where(mark, rare[:, None], bits), mark], -1) * 1.0, 1 * rare
    if name == "first":
        return symbols, symbols[:, 0]
    if name == "first_two":
        return symbols, 8 * symbols[:, 0] + symbols[:, 1]
    if name == "last":
        return symbols, symbols[:, -1]
    return numbers[:, :8, None], numbers[:, :8].sum(1)


def in_form(
    unit: int, order: int, inputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a set in a unit, and with columns, symbols and classes in some order."""
    start, size = UNITS[unit]
    rng = np.random.default_rng(order)

    def ordered(count: int) -> np.ndarray:
        return rng.permutation(count) if order else np.arange(count)

    if inputs.ndim == 3:
        inputs = start + size * inputs[..., ordered(inputs.shape[2])]
    else:
        inputs = ordered(inputs.max() + 1)[inputs]
    if targets.dtype.kind == "f":
        return inputs, start + size * targets
    return inputs, ordered(targets.max() + 1)[targets]


def main() -> None:
    """Print a line for each set: what is right, what memcap says, and the seconds of CPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="*", default=[])
    parser.add_argument("--unit", type=int, default=0, choices=range(len(UNITS)))
    parser.add_argument("--order", type=int, default=0, choices=range(ORDERS))
    parser.add_argument("--most", type=int, default=32)
    words = parser.parse_args()
    for name in words.sets or BITS:
        inputs, targets = made(name)
        if words.unit and inputs.ndim == 2:
            continue
        arrays = array_form(*in_form(words.unit, words.order, inputs, targets))
        folder = OUTPUTS / f"{name}-{words.unit}-{words.order}"
        path = arrays.save(folder / f"sequences-{arrays.digest}.npz")
        task = own_task(path)
        start = time.process_time()
        engine = Engine(workers=1)
        curve = WidthSearch(task, folder, words.most, engine=engine, quiet=True).run()
        seconds = time.process_time() - start
        answer = "right" if is_right(name, curve.units) else "wrong"
        unlearnt = name == "parity" and curve.verdict == "nothing learnt"
        if unlearnt or curve.verdict in ("too few to tell", "did not train"):
            answer = "open"
        found = f"{curve.verdict}, {curve.units} {curve.interval}"
        print(f"{name}: {found}: {answer}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
