"""How many bits of state does the recall of more pairs take?"""

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from memcap import Model, UserError
from memcap.answers.answer import Question
from memcap.answers.sources import best_answer
from memcap.cells import cell_facts
from memcap.figures import Drawn
from memcap.findings import load
from memcap.findings.claims import knob
from memcap.findings.marks import finish, look, number_x, panels
from memcap.findings.tables import Architecture, rows_of, table, task_of_row
from memcap.tasks import Task, least_bits, task_class

# Of two numbers of symbols: on the map of cells, and where up to 32 pairs were trained.
STUDIES = (
    "cell_map",
    "cell_map_again",
    "cell_map_budgets",
    "cell_map_steps",
    "cell_map_seeds",
    "cell_map_bits",
    "keys",
    "cell_map_tasks",
    "cell_map_tasks_again",
    "recall_pairs",
)
TABLED = STUDIES[-3:]  # of 32 symbols
PAIRS = 4, 8, 16, 32
FEW, MANY = SYMBOLS = 8, 32
BUDGETS = 3000, 24_000
FLOAT32 = 32  # bits of a number that is not cut
SHARE = 0.9  # of the nets, for which a width is to be enough
MATRICES = (
    "linear_attention",
    "gla",
    "mamba2",
    "mlstm",
    "delta_net",
    "signed_delta_net",
    "gated_delta_net",
    "delta_product",
)
# about which `memcap answer --pairs` is asked
ASKED = "gated_delta_net", "delta_net", "mlstm", "linear_attention", "mamba2"
SMALL_KEYS = tuple(f"{cell}+key{keys}" for cell in MATRICES for keys in (2, 4, 8))
FAMILIES = {
    "matrices,\nkeys of 16": MATRICES,
    "matrices,\nkeys of 2 to 8": SMALL_KEYS,
    "GRU": ("GRUCell",),
    "LSTM": ("lstm",),
    "sLSTM": ("slstm",),
    "LRUs": ("LRU", "selective_LRU"),
    "tanh net,\nminGRU": ("SimpleCell", "minGRU"),
}
MARKS = {24_000: ("s", 10.0), 3000: ("o", 7.0)}  # shape and size, by steps
CUT = "d", 8.5
CUT_NUMBERS = "numbers cut to 1 to 16 bits, 3,000 steps"
BAND = "from 3,000 to 24,000 steps"
OPEN = "open: no state tried is enough for nine in ten"
BOUNDS: dict[str, dict[str, Any]] = {
    "by_hand": {
        "color": "black",
        "lw": 1.2,
        "ls": "--",
        "label": "weights set by hand",
    },
    "floor": {"color": "black", "lw": 2.0, "label": "proved floor of every network"},
}
LEGEND: dict[str, Any] = {
    "loc": "upper center",
    "ncols": 3,
    "frameon": False,
    "fontsize": 9,
}
BOUNDED = {
    "knobs": pl.String,
    "symbols": pl.Int64,
    "pairs": pl.Int64,
    "floor": pl.Float64,
    "by_hand": pl.Float64,
}
BY_HAND = "delta_net+key{}", 2  # cell and units of tests/cells/test_hand_set_keys.py


def pairs_table() -> str:
    """Tabulate the bytes that each cell needs by the number of pairs, of 32 symbols."""
    cell_map = load("cell_map")
    rows = pl.concat([rows_of(study).filter(task="mqar") for study in TABLED])
    cells: dict[str, dict[int, str]] = {}
    for need in cell_map.needs(rows):
        task = need.point.task
        if task.symbols == MANY and need.point.lag == 2 * task.pairs:
            cells.setdefault(need.cell, {})[task.pairs] = need.words
    lines = [
        (f"`{cell}`", *(words.get(pairs, "") for pairs in PAIRS))
        for cell, words in cells.items()
        if PAIRS[-1] in words
    ]
    heads = [f"{pairs} pairs, lag {2 * pairs}" for pairs in PAIRS]
    return table(("bytes of state", *heads), lines)


def answers_table() -> str:
    """Tabulate what `memcap answer` says of each cell with rows at every number of
    pairs: units, their bytes, and the 95 % interval in bytes."""
    heads = [f"{pairs} pairs" for pairs in PAIRS]
    lines = [
        (f"`{cell}`", *(_advised(cell, pairs) for pairs in PAIRS)) for cell in ASKED
    ]
    return table(("cell", *heads), lines)


def _advised(cell: str, pairs: int) -> str:
    task: Task = task_class("mqar")(pairs=pairs, symbols=MANY)
    found = best_answer(Question(task, 2 * pairs, Model(cell, 1), at="steady"))
    widths = found.units, found.low, found.high
    size, low, high = (
        f"{cell_facts(cell).carry_bytes(width):,.0f}" for width in widths
    )
    return f"{found.units}: {size} [{low}, {high}]"


def needs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the bits of the narrowest nets of which nine in ten pass, by symbols,
    pairs, family, cell, steps and the bits of a number, `each`.

    `bits` and `fails` are as `narrowest` of cell_map_steps has them. `floor` are the bits
    without which no network solves the task, and `by_hand` those of a net whose weights
    are set by hand.
    """
    suffix = r"\+bits(\d+)$"
    families = {cell: name for name, cells in FAMILIES.items() for cell in cells}
    cell = load("cell_map").SAME.str.replace(suffix, "")
    nets = (
        rows.unique("key", maintain_order=True)
        .filter(pl.col("curriculum").is_not_null(), task="mqar")
        .with_columns(
            knob("symbols", pl.Int64),
            knob("pairs", pl.Int64),
            each=pl.col("cell").str.extract(suffix).cast(pl.Int64).fill_null(FLOAT32),
            family=cell.replace_strict(families, default=None),
        )
        .filter(
            pl.col("symbols").is_in(SYMBOLS),
            pl.col("pairs").is_in(PAIRS),
            # eight pairs of eight symbols have no place in either panel
            pl.col("symbols").eq(MANY) | pl.col("pairs").eq(PAIRS[0]),
            pl.col("budget").is_in(BUDGETS),
            pl.col("family").is_not_null(),
            lag=2 * pl.col("pairs"),
        )
    )
    bits_of = load("cell_map_bits").bits_of
    counted = "task", "knobs", "cell", "carry_numbers", "each"
    sizes = nets.select(counted).unique()
    bits = [bits_of(net) for net in sizes.to_dicts()]
    sizes = sizes.with_columns(pl.Series("bits", bits, pl.Float64))
    nets = nets.join(sizes, on=counted).with_columns(cell=cell)
    places = nets.unique("knobs").to_dicts()
    bounds = pl.DataFrame([_bounds(net) for net in places], BOUNDED)
    how = pl.struct("budget", "each").alias("how")
    found = load("cell_map_steps").narrowest(
        nets.with_columns(how), "how", "bits", place="knobs", share=SHARE
    )
    found = found.unnest("how").sort("knobs", "cell", "each", "budget")
    # what is enough is still enough with more steps
    enough = pl.col("bits").cum_min().forward_fill().over("knobs", "cell", "each")
    return (
        found.with_columns(enough, family=pl.col("cell").replace_strict(families))
        .join(bounds, on="knobs")
        .select(
            "symbols",
            "pairs",
            "family",
            "cell",
            "budget",
            "each",
            "bits",
            "fails",
            "floor",
            "by_hand",
        )
        .sort("symbols", "pairs", "family", "cell", "each", "budget")
    )


def _bounds(net: dict[str, Any]) -> dict[str, Any]:
    """Return the least bits of any network on a net's task, and those of the net with
    weights set by hand."""
    task = task_of_row(net["task"], net["knobs"])
    name, units = BY_HAND
    cell = name.format(net["symbols"])
    model = Architecture(Model(cell, units), task.features, task.outputs)
    by_hand = net | {
        "cell": cell,
        "carry_numbers": model.carry_numbers(),
        "each": FLOAT32,
    }
    return {
        "knobs": net["knobs"],
        "symbols": net["symbols"],
        "pairs": net["pairs"],
        "floor": least_bits(task, task.facts(net["lag"], net["length"])),
        "by_hand": load("cell_map_bits").bits_of(by_hand),
    }


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the bits of state that recall needs, by steps and by pairs, above the proved floor."""
    found = needs(rows)
    if found.is_empty():
        raise UserError(
            "no nets recall 4 to 32 pairs of 8 or 32 symbols: nothing to draw"
        )
    picture, both = panels((11, 7), 1, 2, sharey=True, width_ratios=[1.3, 1])
    _by_family(both[0], found.filter(symbols=FEW))
    _by_pairs(both[1], found.filter(symbols=MANY))
    both[0].set_yscale("log", base=2)
    both[0].set_yticks(
        powers := [2**k for k in range(3, 15)], map("{:,}".format, powers)
    )
    both[0].set(ylabel="bits of state", ylim=(6, 20_000))
    for panel in both:
        panel.grid(axis="y", color="#dddddd", lw=0.5)
        panel.set_axisbelow(True)
    picture.legend(handles=_signs(), **LEGEND)
    caption = (
        "A filled mark: the least state with which at least nine in ten nets pass, of three nets"
        " or more of a width, by the cell of the family that needs the least (small dots: its"
        " other cells, or other bits of a number). A thin line leads down to the largest"
        " state tried that is not enough."
        " Hollow marks with an arrow are open: they stand at the largest state with which fewer"
        " than nine in ten nets passed. What is enough in 3,000 steps counts for 24,000, too. Lines"
        " between marks only guide the eye. All nets have one layer and the recipe of the map of"
        " cells. A last input, which cells with a matrix"
        " carry, counts as one symbol. The floor is a theorem for every network. By hand: a"
        " DeltaNet of two units, in float32, whose keys have a number for each symbol."
    )
    margins = {"top": 0.84, "bottom": 0.205, "wspace": 0.04, "left": 0.08}
    return finish(picture, rows, found, caption, 205, **margins)


def _by_family(panel: Axes, found: pl.DataFrame) -> None:
    """Draw the needs at four pairs, a column for each family."""
    for k, family in enumerate(FAMILIES):
        own = found.filter(family=family)
        whole = own.filter(each=FLOAT32)
        colour = look(k)["color"]
        ends = [
            _mark(panel, k, whole.filter(budget=steps), sign, colour)
            for steps, sign in MARKS.items()
        ]
        band = [end for end in ends if end is not None]
        if len(band) > 1 and whole["bits"].count():
            panel.plot([k, k], band, color=colour, lw=11, alpha=0.25)
        cut = own.filter(pl.col("each") < FLOAT32)
        _mark(panel, k + 0.3, cut, CUT, colour)
    ends = -0.6, len(FAMILIES) - 0.4
    for name, line in BOUNDS.items():
        panel.plot(ends, [found[name].item(0)] * 2, **line)
    panel.set(xlim=ends, title=f"{PAIRS[0]} pairs of {FEW} symbols, by family of cells")
    panel.set_xticks(range(len(FAMILIES)), FAMILIES, fontsize=8)
    for k, name in enumerate(panel.get_xticklabels()):
        name.set_color(look(k)["color"])


def _by_pairs(panel: Axes, found: pl.DataFrame) -> None:
    """Draw the needs against the number of pairs."""
    for k, family in enumerate(FAMILIES):
        own = found.filter(family=family)
        colour = look(k)["color"]
        beside = 1.11 ** max(0, k - 1)  # so that marks do not overlap
        for pairs in PAIRS:
            for steps, sign in MARKS.items():
                there = own.filter(pairs=pairs, budget=steps)
                _mark(panel, beside * pairs, there, sign, colour)
        least = own.filter(budget=BUDGETS[0]).group_by("pairs").agg(pl.min("bits"))
        least = least.drop_nulls().sort("pairs")
        panel.plot(least["pairs"], least["bits"], color=colour, lw=1, ls="--")
    bounds = found.unique("pairs").sort("pairs")
    for name, line in BOUNDS.items():
        panel.plot(bounds["pairs"], bounds[name], **line)
    panel.set_xscale("log", base=2)
    number_x(panel, PAIRS)
    panel.set(
        xlabel="pairs to recall (colours as on the left)",
        xlim=(PAIRS[0] / 1.3, PAIRS[-1] * 1.5),
        title=f"{PAIRS[0]} to {PAIRS[-1]} pairs of {MANY} symbols",
    )


def _mark(
    panel: Axes, x: float, own: pl.DataFrame, sign: tuple[str, float], colour: str
) -> float | None:
    """Mark the least need of a family at a place, or how far it is open. Return the
    height of the mark, None if there are no rows."""
    if own.is_empty():
        return None
    shape, size = sign
    style: dict[str, Any] = {"marker": shape, "color": colour, "ms": size}
    enough = own.drop_nulls("bits")
    if enough.is_empty():
        height = max(own["fails"].to_list())
        style |= {"mfc": "white", "lolims": True, "lw": 1}
        panel.errorbar(x, height, yerr=0.3 * height, **style)
        return height
    height = min(enough["bits"].to_list())
    panel.scatter([x] * enough.height, enough["bits"], s=8, color=colour)
    fails = enough.filter(bits=height)["fails"].min()
    if fails is not None:
        panel.plot([x, x], [fails, height], color=colour, lw=1)
    panel.plot(x, height, mec="white", **style)
    return height


def _signs() -> list[Line2D]:
    """Return what the legend shows."""
    mark: dict[str, Any] = {"color": "#444444", "ls": ""}
    words = {f"float32, {steps:,} steps": MARKS[steps] for steps in BUDGETS}
    words[CUT_NUMBERS] = CUT
    marks = [
        Line2D([], [], label=label, marker=shape, ms=size, **mark)
        for label, (shape, size) in words.items()
    ]
    band = Line2D([], [], color="#444444", lw=9, alpha=0.25, label=BAND)
    open_end = Line2D([], [], marker="o", mfc="white", label=OPEN, **mark)
    bounds = [Line2D([], [], **bound) for bound in BOUNDS.values()]
    return [*marks, band, open_end, *bounds]


TABLES = {"recall pairs": pairs_table, "recall answers": answers_table}
