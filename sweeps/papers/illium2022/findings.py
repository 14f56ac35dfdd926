"""How far back do trained nets of n cells recall a random number?

Protocol: a sequence of random numbers, of random length; at its end the net says the
number that came p steps before. Illium et al. vary p, cells, layers and the kind of
cell (Elman, GRU, LSTM), and look for the border beyond which training fails. By a
summary, Elman nets learn p up to 4 quickly and stay at a loss of 0.15 for p of 6 to 8,
LSTMs still improve after 500 epochs at p = 6, and l layers of c cells reach at most l c
- l + 1.

Ours: the delay line of normal numbers (memcap/tasks/delay_line.py), which asks at every
step for the number of p steps before; one layer, 1 to 8 cells, p from 1 to 8, one
recipe for all (conf/recipe/forget_bias.yaml, 1,500 steps). What was read does not give
their range of numbers, rate and batch. A number is recalled if the mean squared error
of the median net is at most 0.05 of the variance. A net's reach is the farthest
position up to which it recalls every one that was tried.

The border belongs to this recipe: in 3,000 steps all seven LSTMs of 11 cells recall 12
steps, and some of 4, 7, 14 and 15 cells recall 5, 8 and 16 (sweeps/answers/atlas).
"""

import math

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.figures.style import write_in
from memcap.findings import NOT_MEASURED, Claim, Finding, OurClaim, Paper, marks
from memcap.findings.claims import each, having

ERROR = 0.05  # mean squared, of variance 1, up to which a number is recalled
# of the panels, as shares of the figure
BOTTOM = 0.225
TOP = 0.85
# least one of reach and cells, of each kind of cell, where there is a border along n =
# p
CORRELATION = 0.9
NAMES = {"SimpleCell": "Elman", "GRUCell": "GRU", "lstm": "LSTM"}


def errors(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the median error over the seeds, by cell, units and lag; a net that
    diverged counts as lost."""
    own = rows.filter(having(task="delay_line", reals=True, cell=NAMES))
    named = (
        pl.col("cell").replace_strict(NAMES),
        pl.col("final").fill_null(math.inf).alias("error"),
    )
    by = "cell", "units", "lag"
    nets = own.with_columns(*named).group_by(by)
    return nets.agg(pl.col("error").median(), pl.len().alias("seeds")).sort(by)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw a map of cells by position for each kind of cell, the error as colour and number."""
    data = errors(rows)
    kinds = list(data.group_by("cell", maintain_order=True))
    picture, (panels,) = marks.panels((9.6, 4.2), 1, max(1, len(kinds)), squeeze=False)
    picture.suptitle(
        "Error of recalling a random number, by cells and position", y=0.98
    )
    for axes, ((cell,), own) in zip(panels, kinds, strict=False):
        lags, units = (
            own[column].unique().sort().to_list() for column in ("lag", "units")
        )
        table = own.pivot("lag", index="units", values="error").sort("units")
        values = table.select(map(str, lags)).to_numpy().astype(float)
        image = axes.imshow(
            values, cmap="viridis_r", vmin=0, vmax=1, origin="lower", aspect="auto"
        )
        for row, column in np.ndindex(*values.shape):
            error = values[row, column]
            text = f"{min(error, 9.99):.2f}".removeprefix("0")
            ink = "white" if error > 0.5 else "black"
            write_in(axes, column, row, text, fontsize=8, color=ink)
        axes.set(title=cell, xlabel="position p, steps back")
        axes.set_xticks(range(len(lags)), map(str, lags))
        axes.set_yticks(range(len(units)), map(str, units))
        border = [
            sum(n <= lag for n in units) - 0.5 for lag in lags
        ]  # between n <= p and n > p
        edges = np.arange(len(lags) + 1) - 0.5
        axes.step(edges, [*border, border[-1]], where="post", color="red", lw=1.5)
        if axes is panels[-1]:
            box = picture.add_axes(
                (0.915, BOTTOM, 0.014, TOP - BOTTOM), label="colours"
            )
            picture.colorbar(image, cax=box, label="mean squared error")
    panels[0].set_ylabel("cells n")
    caption = (
        "Colours and numbers show the mean squared error of the number of p steps before (its"
        " variance is 1; errors above 1 have the colour of 1), the median of up to"
        f" {marks.greatest(data, 'seeds')} seeds. Above the red line there are more cells than"
        " steps, n > p, which is enough for a linear net. After Illium et al. (2022)."
    )
    margins = {"left": 0.06, "right": 0.9, "bottom": BOTTOM, "top": TOP, "wspace": 0.14}
    return marks.finish(picture, rows, data, caption, 170, **margins)


def _reach(data: pl.DataFrame) -> dict[str, dict[int, int]]:
    """Return, by cell and units, the farthest position up to which every one tried is
    recalled, or 0."""
    lost = pl.col("lag").filter(pl.col("error") > ERROR).min().fill_null(math.inf)
    reach = pl.col("lag").filter(pl.col("lag") < lost).max().fill_null(0)
    by_cell: dict[str, dict[int, int]] = {}
    for cell, units, far in (
        data.group_by("cell", "units", maintain_order=True).agg(reach).iter_rows()
    ):
        by_cell.setdefault(cell, {})[units] = far
    return by_cell


def _rises(data: pl.DataFrame) -> Finding:
    reach = _reach(data)
    if any(len(by_units) < 2 for by_units in reach.values()):
        return NOT_MEASURED
    far = {
        f"{cell} of {', '.join(map(str, own))}": [*own.values()]
        for cell, own in reach.items()
    }
    return each(
        far,
        "{name}: {nets} steps",
        lambda own: list(own) == sorted(own) and own[-1] > own[0],
    )


def _bounded(data: pl.DataFrame) -> Finding:
    """Judge reach against cells; where no position beyond the cells was tried, only the
    correlation counts."""
    reach = _reach(data)
    farthest = marks.greatest(data, "lag")
    beyond = [
        (far - units, cell, units, far)
        for cell, own in reach.items()
        for units, far in own.items()
        if units < farthest
    ]
    if not beyond:
        return NOT_MEASURED
    most, cell, units, far = max(beyond)
    if most > 0:
        return Finding(f"{cell} recalls {far} steps with {units}", False)
    cells = max(units for _, _, units, _ in beyond)
    least = min(_correlation(own) for own in reach.values())
    words = f"none of up to {cells} cells recalls more; correlations of at least {least:.2f}"
    return Finding(words, least >= CORRELATION)


def _correlation(by_units: dict[int, int]) -> float:
    """Return the correlation of reach and cells; 0 where the reach is the same for all."""
    if len(set(by_units.values())) < 2:
        return 0.0
    return float(np.corrcoef(list(by_units), list(by_units.values()))[0, 1])


PAPER = Paper(
    source=(
        "Illium, Schillman, Müller, Gabor & Linnhoff-Popien, Empirical analysis of limits for"
        " memory distance in recurrent neural networks, ICAART 2022 (2212.11085)"
    ),
    cost="2 minutes on one core of a busy machine, without compilation (120 members)",
    read="notes",
    table=errors,
    claims=(
        Claim(
            f"more cells recall farther (here: an error of {ERROR:g} or less; the reach never"
            " falls with cells, and rises in all)",
            '"more cells increase the memory limit"',
            "conclusion; all else second-hand",
            _rises,
            within=("cell", "lag"),
        ),
        OurClaim(
            "by this recipe, in 1,500 steps, Jaeger's memory capacity is the border (none recalls"
            " more steps than it has cells, of the cells for which more steps were tried, and"
            f" steps correlate with cells at {CORRELATION:g} or more in each kind)",
            'a "discernible borderline" that "correlates with the MC" of Jaeger, in Elman, GRU'
            " and LSTM nets",
            "conclusion; all else second-hand",
            _bounded,
            within=("cell", "lag"),
            post_hoc=True,
        ),
    ),
)
