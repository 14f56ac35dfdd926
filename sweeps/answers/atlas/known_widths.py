"""Ask `memcap fit` for widths that are known: ten marks of the atlas, written out as 10,000
sequences each.

python sweeps/answers/atlas/known_widths.py
    adds what known_widths.csv has not, at a minute of CPU a mark
python sweeps/answers/atlas/known_widths.py --least
    the least loss that noisy classes leave to a linear read-out

Three marks come again with noise (a tenth of the labels is another class: no net is
right of more than 90 %), and one with all labels drawn at random, of which nothing can
be learnt.
"""

import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from memcap.config.member import Engine, task_of
from memcap.own.losses import LossCurve
from memcap.own.search import WidthSearch
from memcap.own.task import BEST, Data
from memcap.tasks import Task

MARKS = (  # task, knobs, lag
    ("latch", (), 20),
    ("adding", (), 20),
    ("temporal_order", (), 20),
    ("latch", ("symbols=8",), 20),
    ("copy", ("items=2",), 12),
    ("latch", ("symbols=32",), 12),
    ("copy", (), 12),
    ("copy", ("items=8",), 5),
    ("delay_line", ("symbols=4",), 5),
    ("delay_line", ("reals=true",), 5),
)
# of these
NOISY = (0, 3, 6)
RANDOM = (0,)
WRONG = 0.1  # of the labels under noise
SEQUENCES = 10_000
SEED = 100
# units of the widest net; nets of each width and fold
MOST = 16
FOLDS = 5
NETS = 1
FILES = Path("outputs/known_widths")
OUT = Path(__file__).with_name("known_widths.csv")


def write(
    file: Path, task: Task, lag: int, labels: str, sequences: int = SEQUENCES
) -> None:
    """Write sequences of a task as a file of task=data.

    Args:
        file: the .npz.
        task, lag: what is asked.
        labels: "true", "noisy" or "random".
        sequences: how many.
    """
    length = task.length(lag)
    rng = np.random.default_rng(SEED)
    batch = task.sample(jax.random.key(SEED), lag, length, length, sequences)
    targets = np.asarray(batch.targets).T
    if labels == "noisy":
        other = rng.integers(1, task.outputs, targets.shape)
        targets = (targets + other * (rng.random(targets.shape) < WRONG)) % task.outputs
    elif labels == "random":
        targets = rng.integers(0, task.outputs, targets.shape)
    arrays = {"inputs": np.moveaxis(np.asarray(batch.inputs), 1, 0), "targets": targets}
    if batch.mask is not None:
        arrays["mask"] = np.asarray(batch.mask).T
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, allow_pickle=False, **arrays)


def excess(flat: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the loss above the entropy of a state and a read-out, and its gradient.

    Args:
        flat: the numbers that the state holds for each of C classes, the read-out of
            these, and its bias.
        shares: (C, C) how often a sequence of one class has the label of another.
    """
    weights = flat.reshape(len(shares), -1)
    states, readout = np.split(weights[:, :-1], 2, axis=1)
    outputs = states @ readout.T + weights[:, -1]
    errors = (softmax(outputs, axis=1) - shares) / len(shares)
    slopes = np.column_stack([errors @ readout, errors.T @ states, errors.sum(0)])
    above = float(np.sum(shares * (np.log(shares) - log_softmax(outputs, axis=1))))
    return above / len(shares), slopes.ravel()


def least_excess(numbers: int, classes: int, starts: int = 5) -> float:
    """Return the least loss above the entropy of noisy labels, where a linear read-out
    sees so many numbers; the lowest of a few minima."""
    shares = np.full((classes, classes), WRONG / (classes - 1))
    np.fill_diagonal(shares, 1 - WRONG)
    draws = np.random.default_rng(SEED).normal(
        size=(starts, classes * (2 * numbers + 1))
    )
    find = partial(
        minimize, partial(excess, shares=shares), jac=True, options={"maxiter": 3000}
    )
    return min(find(draw).fun for draw in draws)


def fit(file: Path) -> LossCurve:
    """Search the width of a file as `memcap fit --most 16 --seeds 1` does."""
    task = Data(file=str(file), criterion=BEST, scale=True)
    return WidthSearch(
        task, file.with_suffix(""), MOST, FOLDS, NETS, Engine(workers=1), quiet=True
    ).run()


def main() -> None:
    """Fit all marks, and write what was found; or print what noise leaves to a read-out."""
    if sys.argv[1:] == ["--least"]:
        for numbers in range(1, 8):
            print(
                f"{numbers} numbers, 8 classes: {least_excess(numbers, 8):.4f} nats above the"
                " entropy"
            )
        return
    studied = [(MARKS[k], "random") for k in RANDOM] + [
        (MARKS[k], "noisy") for k in NOISY
    ]
    studied += [(mark, "true") for mark in MARKS]
    lines = (
        pl.read_csv(OUT, schema_overrides={"fit": pl.Int64}).to_dicts()
        if OUT.exists()
        else []
    )
    there = {
        (line["task"], line["knobs"] or "", line["lag"], line["labels"])
        for line in lines
    }
    for (name, knobs, lag), labels in studied:
        if (name, ",".join(knobs), lag, labels) in there:
            continue
        words = [name, *(each.partition("=")[2] for each in knobs), str(lag), labels]
        file = FILES / f"{'-'.join(words)}.npz"
        if not file.exists():
            write(file, task_of(name, knobs), lag, labels)
        curve = fit(file)
        print(f"{file.stem}: {curve.units} units, more than {curve.below}", flush=True)
        about = {"task": name, "knobs": ",".join(knobs), "lag": lag}
        about |= {
            "labels": labels,
            "fit": curve.units,
            "below": curve.below,
            "recipe": curve.recipe.name,
            "lr": curve.recipe.lr,
        }
        for width in curve.widths:
            own = {
                "units": width.units,
                "score": width.score,
                "train_loss": width.train,
            }
            for fold, loss in enumerate(width.folds):
                current = curve.without_state.folds[fold]
                lines.append(
                    about | own | {"fold": fold, "loss": loss, "no_state": current}
                )
        pl.DataFrame(
            lines, schema_overrides={"fit": pl.Int64, "knobs": pl.String}
        ).write_csv(OUT, float_precision=5)


if __name__ == "__main__":
    main()
