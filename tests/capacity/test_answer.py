"""The answer's values and words, on rows that were made up."""

import json
import math

import numpy as np
import pytest
from study_rows import group, table

from memcap.capacity.answer import answer, as_dict, command, sentences
from memcap.capacity.frontier import frontier
from memcap.capacity.thresholds import posterior, threshold
from memcap.knobs import UserError
from memcap.models.network import MOST_UNITS
from memcap.tasks import task_class

DELAY, LATCH = task_class("delay_line")(), task_class("latch")()
KEYS = {"task", "lag", "u_exist", "u50", "u90", "u90_low", "u90_high", "information_floor", "one_per_number"}
KEYS |= {"constructed", "carry_numbers", "budget", "runs"}
MIXED = {4: (0, 8), 5: (3, 8), 6: (6, 8), 7: (8, 8), 8: (8, 8)}


def points():
    """Delay lines measured at lags 2, 4, 8; not reached at 16; a latch whose smallest width was enough."""
    delays = {
        2: {2: (0, 8), 3: (8, 8), 4: (8, 8)},
        4: MIXED,
        8: {8: (0, 8), 9: (5, 8), 10: (8, 8)},
        16: {15: (0, 8)},
    }
    rows = [group("delay_line", lag, counts, budget=3000) for lag, counts in delays.items()]
    return frontier(table(*rows, group("latch", 5, {1: (8, 8), 2: (8, 8)})))


def asked(task, lag, share=0.9, **more):
    """What JSON and words say."""
    found = answer(task, lag, share, more.get("points", points()))
    values = as_dict(found)
    assert values.keys() >= KEYS
    json.dumps(values, allow_nan=False)
    said = sentences(found)
    assert not any("\n" in line or "inf " in line or "nan" in line for line in said)
    return values, "\n".join(said)


def test_measured():
    values, words = asked(DELAY, 4)
    exact = threshold(posterior(list(MIXED), [s for s, _ in MIXED.values()], [8] * 5), 0.9)
    assert values["measured"]
    assert (values["u90"], values["u90_low"], values["u90_high"]) == (exact.units, exact.low, exact.high)
    assert values["units"] == math.ceil(exact.units)
    assert values["carry_numbers"] == 2 * values["units"]
    assert (values["u_exist"], values["budget"], values["runs"]) == (5, 3000, 40)
    assert (values["information_floor"], values["one_per_number"], values["constructed"]) == (1, 3, 5)
    assert values["predicted"] is None
    assert f"take {values['units']} units, so a carry of {values['carry_numbers']} numbers" in words
    assert f"from {exact.low:.3g} to {exact.high:.3g} units" in words
    assert words.startswith(
        "delay_line at lag 4: take 7 units, so a carry of 14 numbers (h and c). With up to 3,000 training"
        " steps 90 % of the seeds"
        " that train at all solve it, and still do at 20 times the lag, from this width on: best estimate"
        f" {exact.units:.3g} units, 95 % interval from {exact.low:.3g} to"
    )
    assert "budget 3000 steps" in words
    assert "lr 0.03" in words
    assert "Hand-set weights solve it, with no training, at 5 units." in words
    assert "NOT MEASURED" not in words


def test_where_a_shallow_end_is_not_excluded_the_width_to_take_is_a_unit_more_and_says_why():
    counts = {7: (0, 4), 9: (0, 5), 10: (7, 8), 11: (4, 5), 12: (8, 8)}
    rows = table(group("delay_line", 16, counts, budget=8000))
    values, words = asked(DELAY, 16, points=frontier(rows))
    assert (values["units"], math.ceil(values["u90"]), values["carry_numbers"]) == (11, 10, 22)
    assert "take 11 units" in words
    assert "The width to take allows for that interval." in words
    assert "allows for" not in asked(DELAY, 4)[1]


def test_confidence_moves_the_answer():
    units = [asked(DELAY, 4, share)[0]["units"] for share in (0.1, 0.5, 0.9)]
    assert units == [5, 6, 7]
    values, words = asked(DELAY, 4, 0.9995)
    assert values["units"] is None
    assert (
        "no width up to 8 units is known to be enough for 99.95 % of the seeds that train at all to solve it"
        in words
    )
    assert "with up to 3,000 training steps: best estimate over 8 units" in words


@pytest.mark.parametrize(("lag", "between"), [(6, (4, 8)), (30, None)])
def test_not_measured(lag, between):
    values, words = asked(DELAY, lag)
    widths = [p.fit.u90.units for p in points() if p.lag in (2, 4, 8) and p.task == DELAY]
    expected = (widths[1] + widths[2]) / 2 if between else np.polyval(np.polyfit([2, 4, 8], widths, 1), lag)
    assert not values["measured"]
    assert all(
        values[k] is None
        for k in ("u_exist", "u50", "u90", "u90_low", "u90_high", "u90_trained", "recipe", "runs")
    )
    assert values["budget"] == 3000
    assert values["predicted"] == pytest.approx(expected)
    assert values["predicted_between"] == between
    assert values["predicted_low"] < values["predicted"] < values["predicted_high"]
    assert values["units"] == math.ceil(expected)
    assert values["carry_numbers"] == 2 * values["units"]
    first, second = words.splitlines()[:2]
    assert first.startswith(
        f"delay_line at lag {lag}: NOT MEASURED; predicted: take {values['units']} units, so a carry of"
    )
    assert (
        "With up to 3,000 training steps 90 % of the seeds that train at all should solve it, and still do"
        " at 20 times" in first
    )
    assert f"best estimate {expected:.3g} units, 95 % interval from {values['predicted_low']:.3g} to" in first
    how = (
        "Interpolated between lags 4 and 8 (measured: 2, 4, 8)"
        if between
        else "The lag lies OUTSIDE the measured ones: a straight"
    )
    assert second.startswith(how)
    assert "A prediction, no measurement." in second
    assert "no width tried was enough: lag 16" in second
    assert f"To measure it: memcap train task=delay_line task.lag={lag} " in words


def test_widths_beyond_those_allowed_are_not_named():
    values, words = asked(DELAY, 100_000)
    assert values["units"] is None
    assert values["predicted"] > MOST_UNITS == 4096
    assert "NOT MEASURED; no width up to 4,096, the most allowed, is known to be enough" in words
    assert "model.units: [2048, 2896, 3444, 3822, 4096]" in values["command"]
    rows = frontier(table(group("delay_line", 100_000, {3000: (0, 4), 4096: (1, 4)})))
    values, words = asked(DELAY, 100_000, points=rows)
    assert (values["units"], values["command"]) == (None, "")
    assert "no width up to 4,096 units is known to be enough" in words
    assert "nets beyond 4,096 units are not allowed" in words


def test_a_prediction_is_for_the_share_that_was_asked_for():
    assert asked(DELAY, 6, 0.5)[0]["predicted"] < asked(DELAY, 6, 0.9)[0]["predicted"]
    assert "50 % of the seeds that train at all should solve it" in asked(DELAY, 6, 0.5)[1]


def test_nothing_measured():
    values, words = asked(LATCH, 50, points=[])
    assert values["units"] is values["carry_numbers"] is values["predicted"] is None
    assert (values["information_floor"], values["one_per_number"], values["constructed"]) == (1, 1, 1)
    assert "NOT MEASURED, and there are too few measured lags" in words
    assert values["command"] in words


def test_not_reached():
    values, words = asked(DELAY, 16)
    assert values["measured"]
    assert values["units"] is values["carry_numbers"] is values["u90_high"] is values["u_exist"] is None
    assert values["u90_censored"] == "above"
    assert "no width up to 15 units is known to be enough" in words
    assert "Smallest width at which any seed was: none." in words
    assert "model.units: [17, 18, 21, 25, 30]" in words  # wider than what was not enough


def test_the_smallest_width_was_enough():
    values, words = asked(LATCH, 5)
    assert (values["units"], values["carry_numbers"], values["u90_censored"]) == (1, 2, "below")
    assert "take 1 unit, so a carry of 2 numbers" in words
    assert "the smallest width that was tried" in words


def test_the_number_of_recipes_tried_is_said():
    rows = (group(counts=MIXED, lr=0.1), group(counts=MIXED | {5: (8, 8)}, lr=0.2))
    words = asked(LATCH, 5, points=frontier(table(*rows)))[1]
    assert "recipe hold (best of 2, chosen on the seeds it is judged on), lr 0.2" in words


def test_seeds_that_no_width_saves_are_a_failure_of_training():
    rows = group(counts={u: (9 if u > 3 else 0, 16) for u in range(1, 12)})
    (point,) = frontier(table(rows))
    said = asked(LATCH, 5, points=[point])[1]
    assert point.fit.lapse > 0.3
    assert (
        f"Seeds that no width saves (a failure of training, not of size): {point.fit.lapse:.0%}, 95 %"
        " interval" in said
    )


@pytest.mark.parametrize("other", [{"knobs": {"symbols": 4}}, {"cell": "GRUCell"}, {"readout": "lstm"}])
def test_points_of_other_tasks_and_nets_say_nothing(other):
    found = answer(LATCH, 5, 0.9, frontier(table(group(counts=MIXED, **other))))
    assert found.point is None


def test_the_tasks_own_length_counts_first():
    rows = (group(counts={1: (64, 64)}, length=40), group(counts=MIXED))
    assert answer(LATCH, 5, 0.9, frontier(table(*rows))).point.length == LATCH.length(5)


def test_a_lag_that_the_task_does_not_have():
    with pytest.raises(UserError, match="--lag 1: the least lag of temporal_order is"):
        answer(task_class("temporal_order")(), 1, 0.9, [])


def test_the_command_measures_what_was_asked():
    line = command(task_class("delay_line")(symbols=4), 50)
    assert line.startswith("memcap train task=delay_line task.symbols=4 task.lag=50 ")
    assert "model.units: [26, 36, 43, 48, 51, 55, 61, 72], seed: 8" in line
    assert "model.units: [1, 2, 3]" in command(LATCH, 50)


# Verdicts


def lost(**more):
    """Delay lines of lag 4 whose members at 5 and 6 units forget beyond the trained length."""
    return group(
        "delay_line", 4, {4: (0, 8), 5: (8, 8), 6: (8, 8), 7: (8, 8), 8: (8, 8)}, steady={5: 0, 6: 0}, **more
    )


def test_the_steady_verdict_counts_and_the_trained_length_alone_stands_beside():
    steady, words = asked(DELAY, 4, points=frontier(table(lost())))
    trained, others = asked(DELAY, 4, points=frontier(table(lost()), at="trained"))
    assert (steady["at"], steady["units"], trained["at"], trained["units"]) == ("steady", 7, "trained", 5)
    assert (steady["u90_trained"], trained["u90_trained"]) == (trained["u90"], trained["u90"])
    assert "solve it, and still do at 20 times the lag, from this width on" in words
    assert (
        f"The same for 90 % of the seeds and the trained length alone: {trained['u90']:.3g} units, 95 %"
        " interval from" in words
    )
    assert "Seeds steady, by units: 4: 0/8, 5: 0/8, 6: 0/8, 7: 8/8, 8: 8/8." in words
    assert "solve it at the length they were trained at, from this width on" in others
    assert "the trained length alone" not in others
    assert "Seeds solved, by units: 4: 0/8, 5: 8/8" in others


def test_the_budget_is_that_of_the_recipe_that_stands():
    rows = table(group(counts=MIXED), group(counts={4: (0, 8), 5: (8, 8), 6: (8, 8)}, budget=12345))
    assert "With up to 12,345 training steps" in asked(LATCH, 5, points=frontier(rows))[1]
    assert "With up to 1,500 training steps" in asked(LATCH, 5, points=frontier(rows, budget=12344))[1]


def test_the_stretched_score_is_that_of_the_width_to_take():
    rows = table(group("latch", 5, {4: (0, 8), 5: (3, 8), 6: (6, 8), 7: (8, 8), 9: (8, 8)}))
    values, words = asked(LATCH, 5, points=frontier(rows))
    assert (values["units"], values["stretched_units"]) == (8, 9) or (
        values["units"],
        values["stretched_units"],
    ) == (7, 7)
    assert values["stretched_median"] == pytest.approx(1 - 0.01 * 3.5)
    assert f"the median accuracy of the solved nets of {values['stretched_units']} units is 0.965." in words
    assert asked(DELAY, 16)[0]["stretched_units"] is None  # not reached
    assert "the solved nets" not in asked(DELAY, 16)[1]


def test_rows_of_another_end_of_training_are_used_where_there_are_no_others_and_named():
    old = [
        group("delay_line", lag, {lag: (0, 8), lag + 1: (8, 8)}, evaluation_until="solved")
        for lag in (2, 4, 8, 16)
    ]
    assert asked(DELAY, 4, points=frontier(table(*old)))[1].startswith(
        "delay_line (trained until solved) at lag 4: take"
    )
    assert asked(DELAY, 6, points=frontier(table(*old)))[1].startswith(
        "delay_line (trained until solved) at lag 6: NOT MEASURED"
    )
    both = frontier(table(*old, lost(), group("delay_line", 9, {8: (0, 8), 9: (8, 8)})))
    assert asked(DELAY, 4, points=both)[1].startswith("delay_line at lag 4: take 7 units")
    assert "Interpolated between lags 4 and 9 (measured: 4, 9)" in asked(DELAY, 6, points=both)[1]
