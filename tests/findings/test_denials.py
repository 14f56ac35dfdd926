"""A claim that does not hold, or is not reached, could hold, and one that holds falls by
each part of its words: a change of some published outcomes turns its verdict. Shuffled
outcomes deny all that hold (test_resample.py)."""

import polars as pl
import pytest
from breadth import leave

from memcap import findings, store
from memcap.findings import NOT_MEASURED
from memcap.findings.claims import having

LSTM = "OptimizedLSTMCell"
RNN = "SimpleCell"
GRU = "GRUCell"
MAMBA_2 = "mamba2+conv4+gate+skip"
SHORT_KEYS = [f"mamba2+conv4+key{numbers}" for numbers in (2, 3, 4, 6)]


def all_lengths(score, last=None):
    """JSON with this score at each of a member's lengths, and another one at the last."""
    scores = (
        pl.col("lengths").str.replace_all(r"\d+", str(score)).str.replace_all(" ", ", ")
    )
    scores = pl.concat_str(pl.lit("["), scores, pl.lit("]"))
    return scores if last is None else scores.str.replace(r"[\d.]+\]$", f"{last}]")


def whole(score, last=None):
    return {"whole_at_lengths": all_lengths(score, last)}


def scored(score):
    return {"score_at_lengths": all_lengths(score)}


def learns(steps):
    return {"steps_to_solve": steps, "solved": True}


# By paper and claim, of those that do not hold, or are not reached: which rows (columns,
# or knobs of the task), and the outcomes with which they would hold.
WOULD_HOLD = [
    ("arjovsky2016", 2, {"recipe": "chrono", "seed": 0}, {"train_loss": 1.0}),
    ("arora2024", 5, {"cell": "delta_net", "units": 2}, {"final": 0.9}),
    ("bai2018", 0, {"coding": "number", "lag": [25, 50, 100]}, {"final": 0.15}),
    ("beck2024", 2, {"cell": "slstm", "units": 16}, {"final": 0.9}),
    (
        "chung2026",
        3,
        {"budget": 24000},
        {"whole_at_lengths": "[1, 1, 1, 0.5, 0.5, 0.5, 0.5]"},
    ),
    ("collins2017", 3, {"task": "random_labels"}, {"final": 0.8}),
    ("collins2017", 4, {"task": "random_labels"}, {"final": 0.8}),
    ("collins2017", 5, {"task": "random_labels"}, {"final": 0.99}),
    ("deletang2023", 2, {"task": "cycle_navigation", "cell": LSTM}, scored(0.9)),
    (
        "deletang2023",
        4,
        {"task": ["cycle_navigation", "modular_arithmetic"], "cell": RNN},
        scored(0.9),
    ),
    (
        "gu2023",
        3,
        {"task": "selective_copy", "cell": ["minGRU", "minLSTM"]},
        {"final": 0.99},
    ),
    ("hewitt2020", 1, {}, {"stretched": 0.95}),
    (
        "hochreiter1997",
        1,
        {"task": "latch", "init": "forget_bias", "curriculum": None},
        learns(400 + pl.col("lag")),
    ),
    ("huang2025", 2, {"units": 16, "cell": SHORT_KEYS}, {"final": 0.98}),
    ("jaeger2001", 1, {"cell": "lstm"}, {"final": 0.8}),
    (
        "jelassi2024",
        1,
        {"items": 4, "cell": ["LRU", GRU, "lstm"], "carry_numbers": [4, 6, 12]},
        whole(0.1),
    ),
    ("jelassi2024", 2, {"symbols": 8, "items": 8}, whole(0.4)),
    ("kent2024", 0, {"lag": 100}, {"steps_to_solve": None}),
    ("kent2024", 1, {"cell": GRU}, {"steps_to_solve": 900}),
    ("khajehabdollahi2024", 1, {"cell": GRU, "lag": 16, "heads": 15}, learns(9000)),
    ("khajehabdollahi2024", 2, {"cell": GRU, "lag": 16, "heads": 15}, learns(9000)),
    (
        "kimi2025",
        2,
        {"cell": "mamba2+conv4+gate+skip+key8", "pairs": 16},
        {"final": 0.4},
    ),
    ("le2015", 1, {"cell": "irnn"}, {"steps_to_solve": 4000}),
    ("merrill2024", 0, {"cell": "irnn"}, whole(0.9)),
    ("pascanu2013", 2, {"lags": "uniform"}, {"stretched": 0.995}),
    ("sarrof2024", 0, {"task": "dyck", "cell": MAMBA_2}, whole(0.95)),
    (
        "sarrof2024",
        1,
        {"group": "Z2", "cell": MAMBA_2, "seed": 100},
        whole(0.95, last=0),
    ),
    ("sarrof2024", 3, {"task": "counter_language", "cell": LSTM}, whole(0.95)),
    ("sarrof2024", 4, {"task": "counter_language", "cell": LSTM}, whole(0.95)),
    (
        "sarrof2024",
        5,
        {"cell": "mamba2+signed+conv4+gate+skip", "layers": 2},
        whole(0.95),
    ),
    ("schlag2021", 0, {"rewrites": None, "units": [8, 16, 32]}, {"final": 0.89}),
    ("siems2025", 4, {"cell": "delta_product", "group": "A4"}, whole(0.9)),
    ("suzgun2019", 0, {"symbols": 2, "units": 1}, whole(0)),
    ("suzgun2019", 3, {"symbols": 4, "units": 4, "batch": 64}, whole(1, last=0)),
    (
        "suzgun2019",
        5,
        {"batch": 64},
        {"train_loss": (3.0 * pl.col("seed") + pl.col("units")) % 4},
    ),
    (
        "tallec2018",
        0,
        {"task": "copy", "waits": None, "init": "chrono", "lag": 100},
        {"final": 0.41},
    ),
    (
        "tallec2018",
        1,
        {"task": "copy", "waits": "drawn", "init": "chrono"},
        {"final": 0.5},
    ),
]


# By paper and claim: changes that deny it by one part of its words.
GROWS_APART = {"final": pl.col("final") + 0.03 * (pl.col("units") - 3)}
DENY = [
    # less at values of 2, more at 4
    ("arora2024", 1, {"cell": "delta_net", "units": [2, 4], "pairs": 16}, GROWS_APART),
    ("bai2018", 0, {"coding": "number", "lag": [10, 25]}, {"final": 0.15}),
    ("arora2023", 0, {"units": 8, "pairs": 4}, {"final": 0.7}),
    (
        "beck2024",
        0,
        {"task": "parity", "cell": "mlstm+conv4+gate+skip", "seed": 100},
        scored(0.6),
    ),
    ("beck2024", 3, {"cell": "slstm+conv4"}, {"final": 0.96}),
    ("chung2026", 0, {"cell": "selective_LRU", "seed": 0}, whole(0.95)),
    ("chung2026", 1, {"cell": RNN, "seed": 0}, whole(0.5)),
    ("chung2026", 2, {"group": "S3", "cell": GRU, "seed": [0, 1]}, whole(0.5)),
    (
        "fu2023",
        0,
        {"cell": "linear_attention", "layers": 2, "seed": 100},
        {"final": 0.98},
    ),
    (
        "grazzi2024",
        2,
        {"cell": "signed_delta_net", "units": 4, "seed": [0, 1, 2]},
        {"final": 0.6},
    ),
    # another delta rule has the highest median
    ("guo2025", 1, {"cell": "gated_delta_net+conv4+gate+rate+key8"}, {"final": 0.95}),
    # as many units as 8 types
    ("hewitt2020", 2, {"types": 32, "units": 4}, {"final": 0.995}),
    (
        "hochreiter1997",
        2,
        {"init": "hold", "lag": 100, "seed": [0, 1, 2, 3]},
        {"steps_to_solve": None},
    ),
    # their reach does not follow the cells
    ("illium2022", 1, {"cell": GRU}, {"final": 0.9}),
    # clipping helps as much at the shortest length
    ("pascanu2013", 0, {"clip": 1e9, "lag": 9}, {"solved": False}),
    # a net that learns parity, and follows it beyond
    ("sarrof2024", 1, {"group": "Z2", "cell": MAMBA_2}, whole(0.95)),
    (
        "tallec2018",
        0,
        {"waits": None, "init": "forget_bias", "lag": 100, "seed": 0},
        {"final": 0.41},
    ),
    (
        "tallec2018",
        2,
        {"task": "adding", "lag": 99, "init": "chrono"},
        {"steps_to_solve": 1290},
    ),
]


# Of rows with one of these values alone, these claims are not measured, and the paper's
# others are: claims that look for their nets themselves (test_claims.py has the others).
UNMEASURED = [
    ("arora2023", {"units": 2}, [1]),
    ("arora2024", {"rewrites": 1}, [0, 1, 4]),
    ("bai2018", {"init": "forget_bias"}, [1]),
    ("chung2026", {"task": "parity"}, [2]),
    ("collins2017", {"lag": 1}, [2, 3, 4, 5]),
    ("deletang2023", {"cell": LSTM}, [3, 4, 6, 7]),
    ("dynamical_phases2025", {"lag": 5}, [0]),
    ("ganguli2008", {"cell": RNN}, [0]),
    ("grazzi2024", {"cell": "signed_delta_net"}, [1, 3]),
    ("gu2023", {"init": "flax"}, [3, 4]),
    ("hewitt2020", {"units": 6}, [2, 3]),
    ("hochreiter1997", {"task": "latch"}, [3, 4]),
    ("illium2022", {"lag": 1}, [1]),
    ("jaeger2001", {"cell": RNN}, [1]),
    ("kent2024", {"cell": LSTM}, [1, 4]),
    ("revisiting2025", {"cell": ["delta_net", "mamba2"]}, [1]),
    ("siems2025", {"group": "S3"}, [1, 2, 3, 4]),
    ("suzgun2019", {"cell": LSTM}, [7, 8]),
    ("tallec2018", {"task": "copy"}, [2]),
    ("voelker2019", {"units": 20}, [0, 1, 2]),
]


def changed(rows, where, change):
    """Rows, of which those with these values have other outcomes."""
    own = having(**where) if where else pl.lit(True)
    assert rows.filter(own).height, "no rows are changed"
    outcomes = {
        name: new if isinstance(new, pl.Expr) else pl.lit(new)
        for name, new in change.items()
    }
    return rows.with_columns(
        pl.when(own).then(new).otherwise(name).alias(name)
        for name, new in outcomes.items()
    )


def of_quick_papers(name, *_):
    return name in ("hochreiter1997", "suzgun2019")


@pytest.mark.parametrize(
    ("name", "claim", "where", "change", "holds"),
    [
        *((*case, False) for case in DENY),
        *leave([(*case, True) for case in WOULD_HOLD], but=of_quick_papers),
    ],
)
def test_a_change_of_outcomes_turns_a_verdict(name, claim, where, change, holds):
    rows = changed(store.read(findings.folder(name)), where, change)
    paper = findings.find(name).PAPER
    assert paper.claims[claim].judge(paper.table(rows)).holds is holds


def test_every_claim_that_does_not_hold_could():
    listed = {case[:2] for case in WOULD_HOLD}
    for name in findings.papers():
        verdicts = pl.read_csv(findings.folder(name) / "verdicts.csv")["verdict"]
        failed = {(name, k) for k, verdict in enumerate(verdicts) if verdict != "holds"}
        assert failed == {case for case in listed if case[0] == name}


@pytest.mark.parametrize(("name", "where", "unmeasured"), UNMEASURED)
def test_a_claim_whose_nets_are_missing_is_not_measured(name, where, unmeasured):
    found = findings.find(name).PAPER.findings(
        store.read(findings.folder(name)).filter(having(**where))
    )
    assert [
        k for k, finding in enumerate(found) if finding == NOT_MEASURED
    ] == unmeasured


# Of these rows with these outcomes, claims are not measured: nothing wide enough was tried.
TOO_NARROW = [
    ("hewitt2020", 3, {}, {"types": 8}, {"final": 0.5}),
    ("voelker2019", 3, {"units": [10, 15, 20]}, {"lag": 100}, {"solved": False}),
    ("voelker2019", 4, {"units": [10, 15, 20]}, {"lag": 100}, {"solved": False}),
]


@pytest.mark.parametrize(("name", "claim", "rows", "where", "change"), TOO_NARROW)
def test_a_width_that_is_wider_than_all_that_were_tried_denies_nothing(
    name, claim, rows, where, change
):
    rows = store.read(findings.folder(name)).filter(having(**rows) if rows else True)
    changes = changed(rows, where, change)
    assert findings.find(name).PAPER.findings(changes)[claim] == NOT_MEASURED


def test_rows_with_an_effect_deny_each_claim_that_there_is_none():
    names = []
    for name in findings.papers():
        paper = findings.find(name).PAPER
        rows = store.read(findings.folder(name))
        for claim in paper.claims:
            if claim.denies:
                names.append(name)
                found = claim.judge(paper.table(claim.denies.put(rows)))
                assert found.holds is False, f"{claim.text}: {found}"
    assert names == ["collins2017", "hewitt2020", *["voelker2019"] * 2]
