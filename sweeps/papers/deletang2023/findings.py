"""Do recurrent nets go on beyond the lengths at which they learnt a regular language,
and how wide are they?

Protocol: even pairs, parity check, cycle navigation on a ring of five, modular
arithmetic modulo 5. One layer of 256 units; each batch has one length, uniform from 1
to 40; batches of 128, Adam, a million steps, the best of rates 0.0001, 0.0003 and
0.0005, ten seeds. The score is the mean accuracy at lengths from 41 to 500; from 0.9 on
a net has solved the task. Every net but the transformer solved all four, in all seeds.

Ours: 1 to 32 units, batches of 64, a rate per cell, three seeds, about a hundredth of
the steps. Lengths are drawn from the least that asks for memory up to a front, which
rises from 6 to 40 as the net learns; for arithmetic also up to 40 throughout, as the
authors did. The test is at six lengths from 60 to 500. A net stops when five
evaluations in a row at length 40 were right; the test does not decide when.
"""

import math
from collections.abc import Iterable
from functools import cache, partial

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.findings import (
    NOT_MEASURED,
    Claim,
    Finding,
    OurClaim,
    Paper,
    marks,
    over_lengths,
)
from memcap.findings.claims import all_of, at_least, at_most, each, having, least_widths

TASKS = {
    "even_pairs": "even pairs",
    "parity": "parity",
    "cycle_navigation": "cycle navigation",
    "modular_arithmetic": "modular arithmetic",
}
BITS = ("even_pairs", "parity")
ARITHMETIC = "modular_arithmetic"
LSTM = "OptimizedLSTMCell"
RNN = "SimpleCell"
CELLS = {LSTM: "LSTM", RNN: "tanh RNN", "minGRU": "minGRU"}
PASS = 0.9  # mean accuracy over the test's lengths from which a net has solved a task
LINE = 0.1  # how far accuracies may be from those of a count on a line
NOTHING = 0.15  # the mean score up to which a net has learnt nothing; 0 is chance and 1 perfect
NET = ["task", "cell", "units", "lr", "throughout", "seed"]
SPAN = "{name} {nets.least:.2f} to {nets.most:.2f}"
MOST = "{name} at most {nets.most:.2f}"


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net at each length of the test: accuracy, score scaled from chance,
    0, to 1, and chance.

    `throughout`: whether all lengths were drawn throughout, rather than up to a front.
    """
    own = over_lengths(rows.filter(having(task=TASKS, cell=CELLS)))
    throughout = (pl.col("curriculum") == 1).fill_null(value=False).alias("throughout")
    named = own.with_columns(throughout, accuracy="score")
    return named.select(*NET, "number", "accuracy", "scaled", "chance").sort(
        *NET, "number"
    )


def nets(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with its accuracies at all `number`s, and the means of accuracy
    and score over them."""
    means = pl.col("accuracy", "scaled").mean()
    accuracies = pl.col("accuracy").alias("accuracies")
    return (
        lines(rows).group_by(NET, maintain_order=True).agg(means, "number", accuracies)
    )


def at_widest(nets: pl.DataFrame, task: str, cell: str) -> pl.DataFrame:
    """Return the widest nets, at the rate whose poorest seed is best."""
    own = nets.filter(task=task, cell=cell, throughout=False)
    widest = own.filter(pl.col("units") == pl.col("units").max())
    poorest = widest.group_by("lr").agg(pl.col("accuracy").min()).sort("accuracy", "lr")
    return widest.join(poorest.tail(1), "lr", "semi", maintain_order="left")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy by length of the widest nets, and below its means by units; a
    column per task."""
    data = lines(rows)
    all_nets = nets(rows)
    picture, panels = marks.panels((10, 5.6), 2, len(TASKS), sharey=True)
    for (above, below), (task, title) in zip(panels.T, TASKS.items(), strict=True):
        for k, (cell, name) in enumerate(CELLS.items()):
            # cells side by side
            look = marks.look(k, ms=4, alpha=0.75)
            beside = 1.06 ** (k - 1)
            for net in at_widest(all_nets, task, cell).iter_rows(named=True):
                above.plot(
                    np.array(net["number"]) * beside, net["accuracies"], lw=1, **look
                )
            own = all_nets.filter(task=task, cell=cell, throughout=False)
            below.plot(
                own["units"] * beside, own["accuracy"], ls="", label=name, **look
            )
        own = all_nets.filter(task=task, cell=LSTM, throughout=True)
        if own.height:
            look = {
                "color": "grey",
                "marker": "x",
                "ms": 5,
                "ls": "",
                "label": "LSTM, all lengths at once",
            }
            below.plot(own["units"], own["accuracy"], **look)
        above.set(title=title, xscale="log", xlabel="length")
        marks.number_x(above, [60, 100, 200, 500])
        below.set(xscale="log", xlabel="units", ylim=(0, 1.05), xlim=(0.8, 45))
        marks.number_x(below, [1, 2, 4, 8, 16, 32])
        for axes in (above, below):
            marks.level(axes, PASS, ls="--")
            for chance in data.filter(task=task)["chance"].tail(1):
                marks.level(axes, chance)
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("mean accuracy, 60 to 500")
    marks.legend(panels[1, 0], loc="best")
    marks.legend(panels[1, -1], loc="center left")
    caption = (
        "Each line or mark shows one net of one layer, trained at lengths up to 40 for at most"
        f" {marks.greatest(rows, 'budget'):,} steps. Lines show each cell's widest nets. The"
        " dashed line marks solved, and the dotted line chance. All nets except the crosses"
        " begin with short lengths. After Delétang et al. (2023), whose nets have 256 units and"
        " train a million steps."
    )
    margins = {"left": 0.07, "right": 0.99, "top": 0.93, "hspace": 0.42, "wspace": 0.08}
    return marks.finish(picture, rows, data, caption, 165, **margins)


def _solves(cell: str, tasks: Iterable[str], nets: pl.DataFrame) -> Finding:
    """Judge all seeds of the cell's widest nets for each task."""
    widest = {task: at_widest(nets, task, cell) for task in tasks}
    scores = {
        f"{TASKS[task]}, {own['units'].max()} units:": own["accuracy"]
        for task, own in widest.items()
    }
    return each(scores, SPAN, at_least(PASS))


def _learns_nothing(nets: pl.DataFrame) -> Finding:
    own = nets.filter(throughout=False)
    words = "{name}: {nets.most:.2f}"
    scores = {
        cell: {
            f"{name}, {TASKS[task]}": own.filter(task=task, cell=cell)["scaled"]
            for task in BITS
        }
        for cell, name in CELLS.items()
    }
    others = scores[LSTM] | scores[RNN]
    best = each(others, words, lambda own: max(own) > NOTHING, start="best nets: ")
    return all_of(best, each(scores["minGRU"], words, at_most(NOTHING)))


def _front(nets: pl.DataFrame) -> Finding:
    own = nets.filter(task=ARITHMETIC, cell=LSTM)
    without = own.filter("throughout")
    beside = own.filter(throughout=False).join(without, ["units", "lr"], "semi")
    front = each({"with a front": beside["scaled"]}, SPAN, at_least(0.5))
    return all_of(
        front, each({"without": without["scaled"]}, MOST, at_most(NOTHING)), join=", "
    )


@cache
def on_a_line(moves: int, far: int) -> float:
    """Return the accuracy on a ring of five of a count on a line that is lost beyond
    `far` places from the start."""
    share = np.zeros(2 * far + 1)
    share[far] = 1
    for _ in range(moves):
        share = np.convolve(share, np.ones(3) / 3)[1:-1]  # back, stay, forward
    return share.sum() + (1 - share.sum()) / 5


def _counts(nets: pl.DataFrame) -> Finding:
    """Fit one distance of `on_a_line` to each net's accuracies on the ring at all lengths."""
    own = nets.filter(task="cycle_navigation")
    fits = []
    if own.is_empty():
        return NOT_MEASURED
    for numbers, accuracies in own.select("number", "accuracies").iter_rows():
        curves = {
            far: [on_a_line(number, far) for number in numbers] for far in range(4, 21)
        }
        fits.append(
            min(
                (np.abs(np.subtract(accuracies, c)).max(), far)
                for far, c in curves.items()
            )
        )
    worst = max(error for error, _ in fits)
    places = [far for _, far in fits]
    text = f"{min(places)} to {max(places)} places; off by at most {worst:.2f}"
    return Finding(text, bool(worst <= LINE))


def _fewest(nets: pl.DataFrame) -> Finding:
    """Judge the fewest units with which all seeds solve a task: the LSTM has fewest,
    more for arithmetic."""
    enough = (
        (pl.col("accuracy") >= PASS).all().over("task", "cell", "units").alias("enough")
    )
    own = nets.filter(throughout=False).with_columns(enough)
    widths = least_widths(own, ["cell", "task"], pl.col("enough"))
    cells = [
        *((cell, task) for cell in (LSTM, RNN) for task in BITS),
        (LSTM, ARITHMETIC),
    ]
    if not widths.keys() >= {*cells}:
        return NOT_MEASURED
    text = "; ".join(
        f"{CELLS[cell]}, {TASKS[task]}: {widths[cell, task]}" for cell, task in cells
    )
    *bits, arithmetic = (widths[each] for each in cells)
    lstm = bits[:2]
    rnn = bits[2:]
    return Finding(
        text,
        max(lstm) <= 2 and min(rnn) > max(lstm) and max(lstm) < arithmetic < math.inf,
    )


SOLVED = "solved in all ten seeds", "text and appendix"
PAPER = Paper(
    source=(
        "Delétang, Ruoss, Grau-Moya, Genewein, Wenliang, Catt, Cundy, Hutter, Legg, Veness &"
        " Ortega, Neural networks and the Chomsky hierarchy, ICLR 2023 (2207.02098)"
    ),
    cost="3 core minutes; 11 minutes on two cores of a busy machine",
    table=nets,
    claims=(
        Claim(
            "an LSTM solves even pairs and parity in all seeds (mean accuracy at least 0.9 far"
            " beyond the lengths that it learnt at; here and below: of the widest nets)",
            *SOLVED,
            partial(_solves, LSTM, BITS),
            within=("task",),
            post_hoc=True,
        ),
        Claim(
            "and modular arithmetic",
            *SOLVED,
            partial(_solves, LSTM, [ARITHMETIC]),
            within=("task",),
            post_hoc=True,
        ),
        Claim(
            "and cycle navigation",
            *SOLVED,
            partial(_solves, LSTM, ["cycle_navigation"]),
            within=("task",),
            post_hoc=True,
            why=(
                "it counts on a line, not on a ring (a claim below): walks of 40 moves go beyond"
                " 12 places so seldom that this is right there, and nothing in training asks for"
                " more"
            ),
            reached=False,
        ),
        Claim(
            "a tanh RNN solves even pairs and parity in all seeds",
            *SOLVED,
            partial(_solves, RNN, BITS),
            within=("task",),
            post_hoc=True,
        ),
        Claim(
            "and cycle navigation and modular arithmetic",
            *SOLVED,
            partial(_solves, RNN, ["cycle_navigation", ARITHMETIC]),
            within=("task",),
            post_hoc=True,
            why=(
                "on the ring as the LSTM; in arithmetic at chance, after 12,000 steps: an"
                " eightieth of the paper's"
            ),
            reached=False,
        ),
        OurClaim(
            "on the ring nets count on a line instead: one distance up to which a walk is"
            " followed gives each net's accuracy at all six lengths (to 0.1)",
            "no such number",
            "our own question",
            _counts,
            within=("cell",),
        ),
        OurClaim(
            "two LSTM units suffice for even pairs and parity in all seeds, a tanh RNN takes more"
            " for either, and arithmetic takes an LSTM more",
            "256 units in all nets",
            "code",
            _fewest,
            within=("task",),
        ),
        OurClaim(
            "a minGRU, whose gates see the input alone, learns neither even pairs nor parity in"
            " one layer (best net at most 0.15 from chance, 0, to 1), where the others do",
            "a cell that is not in the paper",
            "our own question",
            _learns_nothing,
            within=("task",),
        ),
        OurClaim(
            "arithmetic is learnt where the longest length rises as a net learns, and not where"
            " lengths are drawn up to 40 throughout",
            "uniform from 1 to 40, for a million steps",
            "text and code",
            _front,
            within=("task",),
        ),
    ),
)
