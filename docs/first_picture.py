"""The first picture of README: units to take, by lag, of one bit and of all bits.

python docs/first_picture.py    draws docs/first_picture.png from the published rows
"""

from pathlib import Path

from matplotlib.figure import Figure

from memcap.findings.tables import Point, points_of, task_of

PICTURE = Path(__file__).with_suffix(".png")
# one bit: nets that are right wherever in a sequence it comes; all bits: by the
# recipe that needs the fewest units at each lag
LINES = (
    (
        "the bit of so many steps ago, at every step",
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


def main() -> None:
    """Draw units that 90 % of the seeds need against the lag, both on plain scales."""
    figure = Figure(figsize=(5.6, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, task, studies), colour in zip(LINES, COLOURS, strict=True):
        points = line(task, studies)
        lags = [each.lag for each in points]
        units = [each.fit.u90.units for each in points]
        axes.plot(lags, units, color=colour, marker="o", markersize=4)
        axes.annotate(
            name,
            (lags[-1], units[-1]),
            (-8, 8),
            textcoords="offset points",
            ha="right",
            color=colour,
        )
    axes.set_xlabel("steps for which it must be remembered")
    axes.set_ylabel("LSTM units")
    axes.set_xlim(0, LONGEST + 1)
    axes.set_ylim(0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=170, metadata={"Software": None})


if __name__ == "__main__":
    main()
