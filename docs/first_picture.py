"""The first picture of README: units that training needs, by lag, for one bit and for
the bit of each step.

python docs/first_picture.py    draws docs/first_picture.png from the published rows
"""

from pathlib import Path

from matplotlib.figure import Figure

from memcap.figures.style import draw_interval
from memcap.findings.tables import (
    Point,
    Question,
    atlas_rows,
    from_rows,
    points_of,
    question_task,
    task_of,
)

PICTURE = Path(__file__).with_suffix(".png")
# one bit: nets that are right wherever in a sequence it comes; all bits: by the
# recipe that needs the fewest units at each lag
LINES = (
    (
        "at every step, the bit of that many steps ago",
        "delay_line",
        ("atlas", "muon", "ggt"),
    ),
    ("one bit, seen once, anywhere", "latch", ("anywhere",)),
)
COLOURS = ("#b45f06", "#0b5394")
LONGEST = 50


def line(task: str, studies: tuple[str, ...]) -> list[Point]:
    """Return the points of an LSTM of one layer by lag, up to lag 50."""
    return [
        each
        for each in points_of(*studies)
        if each.task == task_of(task, [])
        and each.model.cell == "lstm"
        and each.model.layers == 1
        and each.lag <= LONGEST
    ]


def in_table(task: str) -> int:
    """Return the width that README's table names for the longest lag."""
    question = Question(question_task(task, []), LONGEST)
    return from_rows(atlas_rows(), question, "atlas").units


def plot() -> Figure:
    """Draw u90 with its intervals against the lag, both on plain scales, and the widths
    of the table."""
    figure = Figure(figsize=(5.6, 3.1), layout="constrained")
    axes = figure.add_subplot()
    for (name, task, studies), colour in zip(LINES, COLOURS, strict=True):
        points = line(task, studies)
        lags = [each.lag for each in points]
        units = [each.fit.u90.units for each in points]
        for each in points:
            draw_interval(axes, each.lag, each.fit.u90, colour)
        axes.plot(lags, units, color=colour, marker="o", markersize=4, label=name)
        width = in_table(task)
        axes.plot(LONGEST, width, "s", mfc="none", color=colour, ms=9, label="_table")
        axes.annotate(
            f"LSTM({width})",
            (LONGEST, width),
            (-9, 5),
            textcoords="offset points",
            ha="right",
            color=colour,
        )
    axes.set_xlabel("steps for which it must be remembered")
    axes.set_ylabel("LSTM units")
    axes.set_xlim(0, LONGEST + 2)
    axes.set_ylim(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    words = (
        "Dots: width at which 90 % of the nets pass (u90); bars: its 95 % interval at that"
        " lag alone,\nwith an arrow at an open end. Squares: the width in the table, chosen"
        " from all lags together."
    )
    figure.supxlabel(words, x=0.01, ha="left", fontsize=7)
    return figure


def main() -> None:
    """Write the picture."""
    plot().savefig(PICTURE, dpi=170, metadata={"Software": None})


if __name__ == "__main__":
    main()
