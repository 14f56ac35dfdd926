"""Compare what was predicted of real sequences with what `memcap fit` found: sweeps/real.

python sweeps/real/real.py
    draws predicted.png, its numbers beside it
python sweeps/real/real.py --collect
    first fetches the rows of outputs/real (sweeps/real/README.md has the commands)
python sweeps/real/real.py --shuffle
    trains each set's best width on data/SET-shuffled.parquet

No rows hold any data. What needs no state is fitted on the data, so its losses are kept
in no_state.csv. As the files are not here, the rows lie in fits.parquet, which `memcap
frontier` and others do not read.
"""

import argparse
import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from memcap import figures, store
from memcap.config.recipes import Recipe
from memcap.figures.style import COLOURS
from memcap.own.losses import Loss, LossCurve, loss_curves, width_losses
from memcap.own.search import WidthSearch
from memcap.own.table import Columns, read_table
from memcap.own.task import Data
from memcap.store.columns import model_of
from memcap.store.rows import complete

OUTPUTS = Path("outputs/real")
PLACE = Path(__file__).parent
# what no_state.csv stands for
KINDS = ("constant", "last step", "window")
SHUFFLED = "-shuffled"  # behind the name of a set: its steps in random order


@dataclass(frozen=True)
class Published(LossCurve):
    """A curve whose sequences are not here, but what the last steps alone reach.

    Args:
        by_steps: losses of the current step, and of the last few.
    """

    by_steps: tuple[Loss, Loss] = (Loss(()), Loss(()))

    @cached_property
    def references(self) -> dict[str, Loss]:
        """Return the losses of what sees the last steps and has no state."""
        # the part that validates a fold is held out in the next one
        last, window = (
            Loss(loss.folds, (*loss.folds[1:], *loss.folds[:1]))
            for loss in self.by_steps
        )
        # not kept; that it is above the last step's is all that counts here
        constant = Loss(tuple(2 * loss for loss in last.folds))
        return dict(zip(KINDS, (constant, last, window), strict=True))

    @property
    def units_by_one_error(self) -> int | None:
        """The narrowest width within a standard error of the best's own loss, the rule at first."""
        most = self.best.mean + max(self.forgiven, self.best.error)
        return (
            next(each.units for each in self.widths if each.mean <= most)
            if self.state_helps
            else None
        )


def shuffle() -> None:
    """Train the best width of each set on its steps in random order."""
    for curve in loss_curves(store.read(OUTPUTS)):
        table = Path("data") / f"{set_of(curve.task.file)}{SHUFFLED}.parquet"
        if table.exists():
            form = read_table(table, Columns("answer"))
            folder = OUTPUTS / table.stem
            task = replace(
                curve.task, file=str(form.save(folder / f"sequences-{form.digest}.npz"))
            )
            recipe = {
                name: getattr(curve.recipe, name)
                for name in ("name", "lr", "budget", "schedule")
            }
            search = WidthSearch(
                task, folder, seeds=curve.best.runs // len(curve.folds)
            )
            search.curve_of([curve.best.units], Recipe(**recipe))


def collect() -> None:
    """Fetch the rows of all sets, and what needs no state, unless it is there."""
    rows = store.read(OUTPUTS)
    curves = {
        set_of(curve.task.file): curve
        for curve in loss_curves(rows)
        if len(curve.folds) > 1
    }
    sets = [set_of(json.loads(text)["file"]) for text in rows["knobs"]]
    rows = rows.filter(
        [name in curves for name in sets]
    )  # of others only recipes have raced
    rows.write_parquet(PLACE / "fits.parquet", compression="zstd")
    columns = ["set", "sequences", "steps", "fold", "current", "last_five"]
    path = PLACE / "no_state.csv"
    lines = pl.read_csv(path).rows() if path.exists() else []
    there = {line[0] for line in lines}
    for name, curve in curves.items():
        if name not in there and not name.endswith(SHUFFLED):
            file = curve.task.file_content
            known = curve.references
            by_steps = (known[kind].folds for kind in ("last step", "window"))
            losses = zip(curve.folds, *by_steps, strict=True)
            lines += [(name, len(file.inputs), file.steps, *each) for each in losses]
    pl.DataFrame(lines, columns, orient="row").sort("set", "fold").write_csv(path)


def set_of(file: str) -> str:
    """Return the name of the set whose study holds a file."""
    return Path(file).parent.name


@cache
def curves() -> dict[str, Published]:
    """Return the curve of each set, and of each with its steps shuffled, from the
    published rows."""
    rows = complete(pl.read_parquet(PLACE / "fits.parquet")).filter(
        pl.col("held_out_loss").is_not_null()
    )
    task = [json.loads(text) for text in rows["knobs"]]
    rows = rows.with_columns(
        set=pl.Series([set_of(each["file"]) for each in task]),
        fold=pl.Series([each["fold"] for each in task]),
    )
    no_state = pl.read_csv(PLACE / "no_state.csv")
    by_set = {}
    for (name,), own in rows.group_by("set", maintain_order=True):
        recipe = (
            own.group_by("recipe", "lr").len().sort("len").row(-1)
        )  # the others only raced
        own = own.filter(recipe=recipe[0], lr=recipe[1])
        row = own.row(0, named=True)
        folds, widths = width_losses(own)
        losses = no_state.filter(set=str(name).removesuffix(SHUFFLED)).sort("fold")
        by_steps = tuple(
            Loss(tuple(losses[column])) for column in ("current", "last_five")
        )
        by_set[str(name)] = Published(
            Data(), row["lag"], model_of(row), folds, widths, (by_steps[0], by_steps[1])
        )
    return by_set


@cache
def compared() -> pl.DataFrame:
    """Return a line per set: predicted and measured."""
    lines = []
    by_set = curves()
    sizes = {
        name: size
        for name, *size in (
            pl.read_csv(PLACE / "no_state.csv")["set", "sequences", "steps"]
            .unique()
            .iter_rows()
        )
    }
    for prediction in pl.read_csv(PLACE / "predictions.csv").iter_rows(named=True):
        curve = by_set.get(prediction["set"])
        if curve is None:
            continue
        shuffled = by_set.get(prediction["set"] + SHUFFLED)
        low, high = curve.interval or (None, None)
        sequences, steps = sizes[prediction["set"]]
        line = {name: prediction[name] for name in ("set", "predicted", "low", "high")}
        line |= {
            "sequences": sequences,
            "steps": steps,
            "verdict": curve.verdict,
            "measured": curve.units,
            "from": low,
            "to": high,
            "best": curve.best.units,
            "one_error": curve.units_by_one_error,
            "widest": curve.widths[-1].units,
            "learnt": curve.learnt.units if curve.learnt else None,
            "loss": curve.best.mean,
            "error": curve.best.error,
            "score": curve.best.score,
            "current": curve.without_state.mean,
            "current_predicted": prediction["no_state"],
            "last_five": curve.references["window"].mean,
            "last_five_predicted": prediction["last_five"],
            "beats_last_five": curve.best.beats(curve.references["window"]),
            "shuffled": shuffled.best.mean if shuffled else None,
        }
        lines.append(line)
    widths = ("measured", "from", "to", "one_error", "learnt")
    types = dict.fromkeys(widths, pl.Int64) | {"shuffled": pl.Float64}
    return pl.DataFrame(lines, schema_overrides=types)


def draw(data: pl.DataFrame) -> Figure:
    """Draw measured against predicted widths, with their intervals."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot(
        xlabel="units predicted before training", ylabel="units that are enough"
    )
    known = data.filter(pl.col("measured").is_not_null()).sort("predicted", "measured")
    for k, row in enumerate(known.iter_rows(named=True)):
        x = row["predicted"] * (
            1 + 0.05 * ((k % 3) - 1)
        )  # side by side, where they would hide each other
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(
            [row["low"], row["high"]],
            [row["measured"]] * 2,
            color=colour,
            lw=1,
            alpha=0.35,
        )
        axes.plot([x, x], [row["from"], row["to"]], color=colour, lw=1.5, alpha=0.6)
        axes.plot(x, row["measured"], "o", color=colour)
        if row["learnt"]:
            axes.plot(x, row["learnt"], "o", mfc="white", color=colour)
        near = (
            known[:k]
            .filter(
                pl.col("measured") == row["measured"], pl.col("predicted") > x / 1.3
            )
            .height
        )
        name = row["set"].replace("_", " ")  # above those of others at the same place
        axes.annotate(
            name,
            (x, row["measured"]),
            (4, 4 + 9 * near),
            textcoords="offset points",
            fontsize=7,
        )
    ends = [0.8, 90]
    grey = "#5b5b5b"
    axes.plot(ends, ends, color=grey, lw=1, label="as predicted")
    for factor, label in (0.5, None), (2, "half or twice as many"):
        axes.plot(
            ends,
            [factor * each for each in ends],
            color=grey,
            lw=0.7,
            ls=":",
            label=label,
        )
    axes.plot([], [], "o", color=grey, label="enough, with its interval")
    axes.plot(
        [],
        [],
        "o",
        mfc="white",
        color=grey,
        label="enough to learn the training sequences",
    )
    axes.legend(loc="lower right", fontsize=7)
    near = np.abs(np.log2((known["measured"] / known["predicted"]).to_numpy())) <= 1
    axes.set_title(
        f"{near.sum()} of {len(near)} real sets take half to twice the units predicted",
        loc="left",
    )
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log", base=2)
        axis.set_major_locator(FixedLocator([1, 2, 4, 8, 16, 32, 64]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set(xlim=(0.8, 90), ylim=(0.8, 90))
    return figure


def main() -> None:
    """Train, or fetch and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--shuffle", action="store_true")
    words = parser.parse_args()
    if words.shuffle:
        shuffle()
        return
    if words.collect:
        collect()
    data = compared()
    print(figures.save(figures.Drawn(draw(data), data), PLACE, "predicted"))


if __name__ == "__main__":
    main()
