"""Do layers need a shift and products to recall a value by its key?

Protocol: pairs of key and value come one by one, and at the end one key asks for its
value: 20 tokens of a vocabulary of 10, pairs may come again, and a random answer is
right at 25 %. H3 multiplies the keys, which a shift SSM delays, by the values, keeps
the products in a diagonal SSM, and multiplies its output by the queries. It is compared
with S4D, Gated State Spaces and attention: two layers of 32 numbers, with MLPs of 128,
residuals and norms. 5,000 sequences, 200 epochs at a rate of 0.0005; one accuracy a
model. The text was read.

Ours (memcap/tasks/mqar.py): four keys, each once, and four values, none twice; then 12
steps, at four of which a key asks, and blanks; the accuracy is that of all four
answers, and a guess among the values is right at 25 %. Layers lie on each other without
MLPs, residuals and norms, read by one dense layer. Fresh sequences, at most 6,000 steps
of 32, by Adam at the better of two rates (on seed 0, in 3,000 steps); a net that
recalls trains for 900 steps more.

`linear_attention` stands for H3: keys, values and queries see this input and the one
before; keys and queries have length 1 and 16 numbers, values 16, in one head. H3 shifts
keys alone, and learns its shift and decay. `LRU`, a complex diagonal SSM of 32 units,
stands for S4D. Without MLPs two of its layers are one linear filter, which cannot
compare at all; so there is also `lmu`, 32 tanh units on the Legendre memory, no layer
of the paper's either. `selective_LRU` is the LRU with a step size that depends on the
input, which multiplies state and values. That it recalls far more shows that products
help, not that a shift is needed: no cell has the products of H3 without its shift. LMUs
fall short perhaps for want of training. Keys and values in one step (stacked) are our
own.
"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks, over_lengths
from memcap.findings.claims import (
    all_of,
    at_least,
    below,
    compare,
    each,
    having,
    knob,
    pick,
)

PRODUCTS = "linear_attention"
SELECTIVE = "selective_LRU"
FIXED = {"LRU": "LRU", "lmu": "LMU"}  # cells whose state space is time-invariant
NAMES = {PRODUCTS: "shift and\nproducts", SELECTIVE: "selective\nLRU"} | FIXED
LAYOUTS = {"separate": "key, then value", "stacked": "key and value at one step"}
LAG = 12  # steps after the pairs, in training
LONG = 32  # the same, of sequences of twice as many steps
SCORES = {"accuracy": LAG, "longer": LONG}  # steps after the pairs
RECALLS = 0.99  # accuracy from which on a net recalls
SHORT = 0.9  # accuracy below which it falls short
KEEPS = 0.95  # accuracy that it keeps at twice the steps
LEAD = 0.1
GUESS = 1 / 4
SPAN = "{name}: {nets.least:.3f} to {nets.most:.3f}"


def accuracies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with the accuracy of the values that it recalls, as in training
    and in `longer` sequences."""
    own = over_lengths(rows.filter(having(task="mqar", cell=NAMES)))
    layout = knob("layout").fill_null("separate")
    scores = {"accuracy": "final", "longer": "score"}
    columns = own.filter(number=LONG).select(layout, "cell", "layers", "seed", **scores)
    return columns.sort("layout", "cell", "layers", "seed")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the accuracy of each net by cell, a panel per layout, at the steps of training
    and at more."""
    data = accuracies(rows)
    picture, panels = marks.panels(
        (9, 4), 1, 2, sharey=True, gridspec_kw={"width_ratios": (5, 4)}
    )
    for axes, (layout, title) in zip(panels, LAYOUTS.items(), strict=True):
        kinds = [
            (layers, cell)
            for layers in (1, 2)
            for cell in NAMES
            if data.filter(layout=layout, cell=cell, layers=layers).height
        ]
        for k, (layers, cell) in enumerate(kinds):
            own = data.filter(layout=layout, cell=cell, layers=layers)
            beside = 0.04 * (own["seed"].rank() - own.height / 2)
            for number, (score, after) in enumerate(SCORES.items()):
                label = "_again" if k else f"{after} steps after the pairs"
                look = marks.dots(number, alpha=0.75, label=label)
                places = k + 0.34 * number - 0.19 + beside
                axes.scatter(places, own[score], **look)
        ticks = [
            f"{NAMES[cell]}\n{layers} layer{'s' * (layers > 1)}"
            for layers, cell in kinds
        ]
        axes.set_xticks(range(len(kinds)), ticks, fontsize=8)
        axes.set(title=title, ylim=(0, 1.05), xlim=(-0.6, len(kinds) - 0.4))
        marks.level(axes, SHORT, ls="--")
        marks.level(axes, GUESS)
    panels[0].set_ylabel("accuracy of recalled values")
    marks.legend(panels[0], loc="center left", bbox_to_anchor=(0, 0.42))
    caption = (
        f"Each mark shows one net after at most {marks.greatest(rows, 'budget'):,} training"
        f" steps with four pairs of four keys and four values; training has {LAG} steps after"
        " the pairs. Nets below the dashed line fall short, and the dotted line shows a guess"
        " among the values. After Fu et al. (2023), tables 2 and 12."
    )
    return marks.finish(
        picture, rows, data, caption, 150, left=0.08, right=0.98, top=0.92, wspace=0.05
    )


def _two_layers(nets: pl.DataFrame, layout: str) -> pl.DataFrame:
    return nets.filter(layout=layout, layers=2)


def _recalls(nets: pl.DataFrame, layout: str) -> Finding:
    own = _two_layers(nets, layout)
    products = {"shift and products": own.filter(cell=PRODUCTS)["accuracy"].to_list()}
    fixed = pick(own, "accuracy", "cell", FIXED)
    return all_of(
        each(products, SPAN, at_least(RECALLS)), each(fixed, SPAN, below(SHORT))
    )


def _keeps(nets: pl.DataFrame) -> Finding:
    own = nets.filter(layout="separate", cell=PRODUCTS)
    layers = pick(own, "longer", "layers", {1: "one layer", 2: "two layers"})
    return each(layers, SPAN, at_least(KEEPS))


def _selects(nets: pl.DataFrame) -> Finding:
    own = _two_layers(nets, "separate")
    pair = pick(own, "accuracy", "cell", (SELECTIVE, "LRU"))
    words = "selective {a.least:.2f} to {a.most:.2f}, LRU {b.least:.2f} to {b.most:.2f}"
    return compare({"": [*pair.values()]}, words, lambda a, b: min(a) >= max(b) + LEAD)


PAPER = Paper(
    source=(
        "Fu, Dao, Saab, Thomas, Rudra & Ré, Hungry hungry hippos: towards language modeling"
        " with state space models, ICLR 2023 (2212.14052)"
    ),
    cost="6 minutes on one of two busy cores (36 members)",
    table=accuracies,
    claims=(
        StandIn(
            "two layers with a shift and products recall, and two of a time-invariant state space"
            f" fall short (here: all nets of the first at least {RECALLS:g}, and all LRUs and LMUs"
            f" less than {SHORT:g})",
            "H3 99.8 %, S4D 86.0 %, Gated State Spaces 78.0 %, at random 25.0 %",
            "section 3.1, table 2",
            lambda nets: _recalls(nets, "separate"),
            within=("layout",),
        ),
        StandIn(
            "a net with a shift and products keeps its accuracy at twice the steps (here: at 40"
            f" steps all nets of one layer and of two have at least {KEEPS:g}; what is added are"
            " blanks)",
            "two layers of H3: 99.8 % of 20 tokens, as in training, and 98.4 % of 40",
            "appendix F.4, table 12",
            _keeps,
            within=("layout",),
        ),
        StandIn(
            "products with what comes are a capability that a time-invariant state space lacks"
            f" (here: all nets of two selective LRUs recall more than all of two LRUs do, by"
            f" {LEAD:g})",
            "multiplicative interactions let H3 compare tokens across the sequence",
            "sections 3.1 and 3.2, without numbers",
            _selects,
            within=("layout",),
        ),
        OurClaim(
            "comparing is lacking by itself: where key and value come at one step, so that nothing"
            " has to be remembered after an event, the first claim holds as well",
            "two missing capabilities: to remember tokens after an event, and to compare tokens",
            "section 3.1; key and value at two steps",
            lambda nets: _recalls(nets, "stacked"),
            within=("layout",),
        ),
    ),
)
