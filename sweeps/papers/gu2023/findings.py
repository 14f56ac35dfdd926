"""Does copying symbols that come at random times need a recurrence that depends on its input?

Protocol: selective copying. 16 symbols of a vocabulary of 16 stand at random places of
4,096 steps, with noise at all other steps; then they are due in their order. Two layers
of 64 channels, 400,000 steps of 64 sequences at a rate of 0.0001. The recurrence is the
same at all steps (S4), or its step size, input and read-out depend on the input (S6),
plain or inside gated blocks.

Ours: 4 symbols of 4 among 15 blanks (memcap/tasks/selective_copy.py), and the same with
all 4 in a row (memcap/tasks/copy.py); in both the cue lasts throughout the recall. One
layer, read by one dense layer that is the same at all steps; seven cells of 8 to 64
carry numbers; fresh sequences, 3,000 steps of 64, each cell at the learning rate that
gu2023_rates.yaml found. `linear` and `LRU` stand for S4, and are time-invariant.
`selective_LRU` stands for S6: it is the LRU with S6's step size, and depends on the
input in nothing else. The gates of minGRU and minLSTM see the input alone (by the
paper's theorem 1 minGRU is S6 with one real number per channel); those of GRU and LSTM
see the state as well.
"""

from collections.abc import Callable
from typing import Any

import polars as pl
from matplotlib.lines import Line2D

from memcap.figures import Drawn
from memcap.figures.style import COLOURS
from memcap.findings import (
    NOT_MEASURED,
    Finding,
    OurClaim,
    Paper,
    StandIn,
    marks,
    without_order,
)
from memcap.findings.claims import compare, having, knob, over_seeds

TASKS = {"copy": "symbols in a row", "selective_copy": "symbols at random places"}
PASS = 0.99
WIDTH = 16  # carry numbers from which on a cell is judged
FIXED = {"linear": "linear", "LRU": "LRU"}
KINDS: dict[str, dict[str, str]] = {  # by what a recurrence depends on
    "is the same at all steps": FIXED,
    "depends on the input": {
        "selective_LRU": "selective LRU",
        "minGRU": "minGRU",
        "minLSTM": "minLSTM",
    },
    "depends on input and state": {"GRUCell": "GRU", "lstm": "LSTM"},
}
NAMES = {cell: name for cells in KINDS.values() for cell, name in cells.items()}
GREY: dict[str, Any] = {"color": "grey", "lw": 0.8}


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return accuracies over the seeds, and the number of seeds that solved the task,
    by task, cell and carry numbers."""
    recalled = pl.col("final").fill_null(
        0.0
    )  # a net that diverged has recalled nothing
    columns = knob("items", pl.Int64), knob("symbols", pl.Int64), recalled
    own = rows.filter(having(task=TASKS, cell=NAMES)).with_columns(*columns)
    by = "task", "cell", "carry_numbers", "items", "symbols"
    more = pl.col("solved").sum(), pl.col("units").first(), pl.col("lr").first()
    order = pl.col("cell").replace_strict({cell: k for k, cell in enumerate(NAMES)})
    return (
        own.group_by(by)
        .agg(*over_seeds("accuracy"), *more)
        .sort(order, "task", "carry_numbers")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy by carry numbers, a panel per task, a colour per kind of recurrence."""
    data = curves(rows)
    picture, panels = marks.panels((10.2, 4.6), 1, 2, sharey=True)
    picture.suptitle("Copying symbols, by what the recurrence depends on", y=0.98)
    looks: dict[str, dict[str, Any]] = {
        cell: {"color": colour, "marker": marker, "ms": 5, "lw": 1.2}
        for colour, cells in zip(COLOURS, KINDS.values(), strict=False)
        for marker, cell in zip("os^", cells, strict=False)
    }
    for (task, title), axes in zip(TASKS.items(), panels, strict=True):
        own = data.filter(task=task)
        for k, (cell, look) in enumerate(looks.items()):
            # a little aside, so that cells that all solve it are seen side by side
            place = {"beside": 2 ** (0.05 * (k - 3)), "label": cell}
            marks.with_bars(
                axes,
                own.filter(cell=cell),
                "carry_numbers",
                "accuracy",
                **look,
                **place,
            )
        for items, symbols in (
            own.select("items", "symbols").unique().sort("items", "symbols").iter_rows()
        ):
            marks.level(
                axes, without_order.accuracy(items, symbols), "_without_order", "--"
            )
            marks.level(axes, 1 / symbols, "_chance")
        axes.set(title=title, xlabel="carry numbers", xscale="log", ylim=(0, 1.04))
        marks.number_x(axes, own["carry_numbers"])
    panels[0].set_ylabel("accuracy of recalled symbols")
    legends = {
        f"recurrence {kind}": [
            Line2D([], [], label=name, **looks[cell]) for cell, name in cells.items()
        ]
        for kind, cells in KINDS.items()
    }
    order = Line2D([], [], ls="--", label="which symbols, not their order", **GREY)
    legends["for comparison"] = [order, Line2D([], [], ls=":", label="chance", **GREY)]
    top = 0.88
    for title, handles in legends.items():
        place = {
            "loc": "upper left",
            "bbox_to_anchor": (0.745, top),
            "alignment": "left",
        }
        top -= 0.085 + 0.04 * len(handles)
        picture.legend(
            handles=handles,
            title=title,
            frameon=False,
            fontsize=8,
            title_fontsize=8,
            **place,
        )
    caption = (
        "The figure shows the accuracy of nets of one layer, each cell at the learning rate that"
        f" suits it. Points are the median of up to {marks.greatest(data, 'seeds')} seeds, and"
        f" bars reach to all of them. Nets train for at most {marks.greatest(rows, 'budget'):,}"
        " steps, and stop once they are right at 99 %. After Gu & Dao, Mamba (2023), table 1 and"
        " fig. 2, scaled down."
    )
    return marks.finish(
        picture, rows, data, caption, 150, left=0.07, right=0.735, top=0.86, wspace=0.06
    )


def _solved(task: str, *cells: str) -> Callable[[pl.DataFrame], Finding]:
    """Make a judge: the median nets of these cells solve a task, at every width from
    `WIDTH` numbers on."""

    def judge(data: pl.DataFrame) -> Finding:
        own = data.filter(pl.col("carry_numbers") >= WIDTH, task=task)
        poorest = own.sort("accuracy", maintain_order=True).unique("cell", keep="first")
        scores = {
            cell: at
            for cell, *at in poorest.select(
                "cell", "accuracy", "carry_numbers"
            ).iter_rows()
        }
        pairs = {NAMES[cell]: scores.get(cell, (None, None)) for cell in cells}
        return compare(
            pairs, "{name} at least {a:.3f}, with {b}", lambda score, _: score >= PASS
        )

    return judge


def _none_solves(data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("cell").is_in([*FIXED]), task="selective_copy")
    best = dict(own.group_by("cell").agg(pl.col("greatest").max()).iter_rows())
    if not best.keys() >= FIXED.keys():
        return NOT_MEASURED
    scores = ", ".join(f"{name} {best[cell]:.2f}" for cell, name in FIXED.items())
    order = max(
        without_order.accuracy(*which)
        for which in own.select("items", "symbols").iter_rows()
    )
    solved = own["solved"].sum()
    text = f"{solved} of {own['seeds'].sum()} nets; the best: {scores}; without order {order:.2f}"
    return Finding(text, solved == 0)


PAPER = Paper(
    source=(
        "Gu & Dao, Mamba: linear-time sequence modeling with selective state spaces, COLM 2024"
        " (2312.00752)"
    ),
    cost="11 minutes on two cores of a busy machine (a load of 14; 224 members)",
    table=curves,
    claims=(
        StandIn(
            "symbols in a row: a recurrence that is the same at all steps copies them (here: the"
            f" median linear net and LRU of {WIDTH} numbers or more, 99 %)",
            '"can easily solve this task"',
            "sec. 4.1.1",
            _solved("copy", *FIXED),
            within=("task",),
        ),
        StandIn(
            "at random places it does not (here: no linear net and no LRU of any width is right"
            " at 99 %)",
            "S4: 18.3 %",
            "table 1 and sec. 4.1.1",
            _none_solves,
            within=("cell",),
        ),
        StandIn(
            "there it does with a step size of the input (here: the median selective LRU,"
            " likewise)",
            "S6: 97.0 %",
            "table 1 and sec. 4.1.1",
            _solved("selective_copy", "selective_LRU"),
            within=("task",),
        ),
        OurClaim(
            "real decays of the input do, too (the median minGRU and minLSTM, likewise)",
            "S6 has real decays: 97.0 %",
            "table 1 and sec. 3.6",
            _solved("selective_copy", "minGRU", "minLSTM"),
            within=("task",),
            why=(
                "with symbols in a row they fail, too (medians of 0.76 at most), so it is not"
                " selection that they lack: a state that only fades tells a fixed read-out little"
                " of the order. The paper has 16 numbers a channel, a read-out that is of the"
                " input, and two layers"
            ),
        ),
        OurClaim(
            "gates that see the state, too, do (the median GRU and LSTM, likewise)",
            "not tried",
            "table 1",
            _solved("selective_copy", "GRUCell", "lstm"),
            within=("task",),
        ),
    ),
)
