"""The answer's values and words, on rows that were made up, and on the published ones."""

import json
from functools import cache

import polars as pl
import pytest
from command import memcap
from scipy.stats import binomtest
from study_rows import group, table

from memcap import store
from memcap.answers.answer import Answer, Question, answer
from memcap.answers.next_study import command, seconds
from memcap.answers.sources import from_rows
from memcap.answers.words import (
    AnswerInWords,
    as_dict,
    code,
    definition_lines,
    sentences,
    why,
    wilson,
)
from memcap.frontiers.frontier import frontier
from memcap.knobs import UserError, field_values
from memcap.models.model import MOST_UNITS, Model
from memcap.store.shards import ATLAS, rows_file, rows_files
from memcap.tasks import task_class
from memcap.terminal.words import duration

DELAY = task_class("delay_line")()
LATCH = task_class("latch")()
KEYS = {"task", "lag", "u50", "u90_low", "estimate", "trains", "passed", "nets"}
MIXED = {4: (0, 8), 5: (3, 8), 6: (6, 8), 7: (8, 8), 8: (8, 8)}
BETWEEN = "It lies between lags 4 and 8. The"


def sharp(width):
    return {width - 1: (0, 8), width: (5, 8), width + 1: (8, 8)}


@cache
def measured():
    """Delay lines measured at lags 2, 4, 8; no seed passed at 16; a latch whose
    smallest width was enough."""
    delays = {2: sharp(3), 4: MIXED, 8: sharp(9), 16: {15: (0, 8)}}
    rows = [
        group("delay_line", lag, counts, budget=3000) for lag, counts in delays.items()
    ]
    return frontier(table(*rows, group("latch", 5, {1: (8, 8), 2: (8, 8)})))


def ask(question, *groups):
    """The answer from these rows."""
    return answer(question, frontier(table(*groups)))


def asked(task, lag, *groups, points=None, share=0.9, cell="lstm"):
    """What JSON and all the words say, of these rows, or of the delay lines and the latch."""
    if groups:
        points = frontier(table(*groups))
    question = Question(task, lag, Model(cell, 1), share, "steady")
    found = answer(question, points or measured())
    values = as_dict(found)
    assert values.keys() >= KEYS
    json.dumps(values, allow_nan=False)
    said = sentences(found) + why(found)
    assert not any("\n" in line or "inf " in line or "nan" in line for line in said)
    return values, "\n".join(said)


def words_of(found):
    return "\n".join(sentences(found))


def test_measured():
    values, words = asked(DELAY, 4)
    assert values["measured"]
    assert values["low"] < values["estimate"] < values["high"]
    assert values["estimate"] == pytest.approx(values["u90"], rel=0.15)
    assert values["units"] in (7, 8)
    assert values["carry_numbers"] == 2 * values["units"]
    assert (values["u_exist"], values["budget"], values["runs"]) == (5, 3000, 40)
    references = ("information_floor", "one_per_number", "constructed")
    assert [values[name] for name in references] == [1, 3, 5]
    assert words.startswith(
        f"delay_line at lag 4: {values['units']} units. 8 of 8 training runs with"
        f" {values['units']} units succeed, also"
        " in sequences 4.44 times as long with the same lag, within 3,000 steps ("
    )
    assert (
        f"{values['estimate']:.3g} units, 95 % interval {values['low']:.3g} to" in words
    )
    assert "not measured" not in words


def test_first_comes_the_width_and_a_sentence_and_what_it_rests_on_only_where_asked_for():
    found = AnswerInWords(**field_values(answer(Question(DELAY, 4), measured())))
    first, train, line = sentences(found)
    assert str(found) == "\n".join([first, train, line])
    assert (train, line) == ("To train such nets:", command(found))
    assert found.why == "\n".join(why(found))
    assert "A net must hold" in found.why


@pytest.mark.parametrize(
    ("task", "lag", "said"),
    [
        ("latch", 5, "held takes 1 unit (a reference, not a floor)"),
        (
            "vector_hold",
            5,
            "information, is 1 unit, and by a linear read-out 16 units.",
        ),
        ("vector_hold", 5, "held takes 8 units (a floor for linear cells)"),
        ("delay_line", 5, "held takes 3 units (a floor for linear cells)"),
        ("delay_line", 50, "held takes 26 units (the floor for linear cells is 25)"),
    ],
)
def test_floors_are_said_where_they_are_some(task, lag, said):
    knobs = {"reals": True} if task == "delay_line" else {}
    found = answer(Question(task_class(task)(**knobs), lag), [])
    assert said in "\n".join(why(found))


def test_the_share_moves_the_answer():
    widths = [asked(DELAY, 4, share=share)[0]["estimate"] for share in (0.1, 0.5, 0.9)]
    assert widths == sorted(widths)
    assert (
        "width at which 50 % of runs that train at all pass"
        in asked(DELAY, 4, share=0.5)[1]
    )
    assert asked(DELAY, 4, share=0.9995)[0]["units"] is None


@pytest.mark.parametrize(
    ("lag", "between", "counted", "place"),
    [
        (6, (4, 8), "{passed} of {nets} training runs at lag 8 with", BETWEEN),
        (12, None, "No net so wide was", "It lies OUTSIDE the measured lags"),
    ],
)
def test_not_measured(lag, between, counted, place):
    values, words = asked(DELAY, lag)
    assert not values["measured"]
    assert values.items() >= dict.fromkeys(("u_exist", "u90", "recipe", "runs")).items()
    assert (values["budget"], values["between"]) == (3000, between)
    assert values["lags"] == [2, 4, 8]
    assert values["left_out"] == [16]  # nothing trained there: no word about widths
    assert values["estimate"] <= values["units"] < 2 * values["estimate"]
    first, how, _, line = words.splitlines()[:4]
    counted = counted.format(**values)
    about = round(values["estimate"])
    width = f"about {about} units, at most {values['units']}"
    how_known = "predicted from other lags; not measured"
    assert first.startswith(f"delay_line at lag {lag}: {width}, {how_known}. {counted}")
    assert how.startswith(place)
    assert "Lags at which no recipe trained it are left out: 16." in how
    assert line == values["command"]
    ends = line.split("model.units: ")[1].split(",")[0].split("..")
    assert int(ends[0]) < values["low"] < values["high"] < int(ends[1])


def test_widths_beyond_those_allowed_are_not_named():
    values, words = asked(DELAY, 100_000)
    assert values["units"] is None
    assert values["estimate"] > MOST_UNITS == 4096
    assert "units are predicted, more than the 4,096 that are allowed." in words
    assert "..4096, seed: 8" in values["command"]


def test_nothing_measured():
    values, words = asked(LATCH, 50, points=[p for p in measured() if p.task != LATCH])
    assert values["units"] is values["carry_numbers"] is values["estimate"] is None
    assert words.startswith(
        "latch at lag 50 alone: not measured, and at too few lags for a prediction."
    )
    assert values["command"] in words


def test_a_few_seeds_that_failed_are_no_measurement():
    few, enough = (
        asked(DELAY, 16, group("delay_line", 16, {15: (0, seeds)})) for seeds in (3, 4)
    )
    assert "at lag 16: not measured" in few[1]
    assert "design=bisect" in few[0]["command"]
    assert "most seeds failed" in enough[1]


@pytest.mark.parametrize("counts", [{15: (0, 8)}, {1: (1, 4), 2: (1, 4), 3: (0, 4)}])
def test_where_no_recipe_trains_it_other_recipes_come_before_wider_nets(counts):
    values, words = asked(DELAY, 16, group("delay_line", 16, counts))
    assert values["measured"]
    assert not values["trains"]
    assert values["units"] is values["estimate"] is values["carry_numbers"] is None
    assert words.startswith("delay_line at lag 16: most seeds failed at every width.")
    recipes = "recipe: [curriculum_chrono, curriculum_from_one, curriculum, integrator]"
    races = f"design=race 'axes={{{recipes}, model.units: 1..34, seed: 8}}'"
    assert values["command"].endswith(races)


@pytest.mark.parametrize(
    ("cell", "raced"),
    [
        ("LRU", "recipe: [own_start], recipe.lr: [0.003, 0.01, 0.03]"),
        # of a cell with gates other starts, whatever started its nets
        (
            "GRUCell",
            "recipe: [curriculum_chrono, curriculum_from_one, curriculum, integrator]",
        ),
    ],
)
def test_of_a_cell_that_starts_itself_rates_race_and_of_others_recipes(cell, raced):
    net = {"cell": cell, "recipe": "own_start", "init": "flax"}
    points = frontier(table(group("delay_line", 16, {15: (0, 8)}, **net)))
    line = asked(DELAY, 16, points=points, cell=cell)[0]["command"]
    assert line.endswith(f"design=race 'axes={{{raced}, model.units: 1..34, seed: 8}}'")


def test_what_was_trained_by_an_unusual_rule_is_measured_by_it_again():
    counts = {1: (0, 8), 2: (4, 8), 3: (8, 8), 4: (8, 8)}
    rows = table(group("parity", 16, counts, evaluation_until="steady", stretch=4))
    line = asked(task_class("parity")(), 16, points=frontier(rows))[0]["command"]
    words = "task.lag=16 evaluation.stretch=4 evaluation.until=steady recipe=hold"
    assert words in line


def test_not_enough():
    counts = {4: (0, 8), 6: (2, 8), 8: (5, 8)}
    values, words = asked(DELAY, 4, group("delay_line", 4, counts))
    assert values["trains"]
    assert (values["units"], values["u90_censored"], values["u90_high"]) == (
        None,
        "above",
        None,
    )
    assert "no width up to 8 units is known to be enough" in words
    assert "model.units: 9.." in words  # wider than what was not enough


def test_the_smallest_width_was_enough():
    values, words = asked(LATCH, 5)
    assert (values["units"], values["carry_numbers"], values["u90_censored"]) == (
        1,
        2,
        "below",
    )
    assert "latch at lag 5 alone: 1 unit." in words
    rows = frontier(table(group("latch", 5, {6: (8, 8), 7: (8, 8)})))
    assert answer(Question(LATCH, 5), rows).units >= 6  # nothing narrower was tried


def test_counts_that_do_not_fit_are_flagged_beside_the_width():
    rows = frontier(
        table(group(counts={4: (0, 8), 8: (8, 8), 12: (3, 8), 16: (8, 8), 20: (8, 8)}))
    )
    found = answer(Question(LATCH, 5), rows)
    assert not found.point.fit.fits
    words = "These counts do not rise with the width as the model expects (4:0/8 8:8/8 12:3/8"
    assert words in words_of(found)


@pytest.mark.parametrize(
    ("counts", "falls_from", "words", "more"),
    [
        (
            {3: (0, 8), 4: (16, 16), 5: (15, 16), 6: (4, 16), 8: (3, 16)},
            6,
            "Wider nets fail more: 7 of 32 passed with 6 to 8 units, 31 of 32 with 4 or 5.",
            "axes={model.units: 4..4, seed: 32}",
        ),
        (
            {3: (0, 8), 4: (7, 8), 5: (5, 8), 6: (3, 8), 8: (2, 8)},
            None,
            "Wider nets may fail more: 5 of 16 passed with 6 to 8 units, 12 of 16 with 4 or 5.",
            "axes={model.units: 4..4, seed: 16}",
        ),
    ],
    ids=["falls", "may fall"],
)
def test_where_wider_nets_fail_more_no_width_is_advised_and_more_seeds_are(
    counts, falls_from, words, more
):
    question = Question(LATCH, 5, at="steady")
    found = answer(question, frontier(table(group(counts=counts))))
    assert found.units is None
    assert as_dict(found)["falls_from"] == falls_from
    assert words in words_of(found)
    assert more in command(found)


@pytest.mark.parametrize(("top", "said"), [((7, 8), True), ((8, 8), False)])
def test_counts_below_the_share_at_the_width_to_take_stand_beside_it(top, said):
    found = ask(Question(LATCH, 5), group(counts={1: (0, 8), 2: (7, 8), 3: top}))
    assert found.units == 3
    assert f"{top[0]} of 8 training runs with 3 units succeed" in words_of(found)
    assert (
        "Some runs fail at any width, so train several, and keep the best."
        in words_of(found)
    ) == said


@pytest.mark.parametrize(
    ("net", "numbers", "said", "named"),
    [
        # a GRU has no c
        (
            {"cell": "GRUCell"},
            1,
            "latch (GRUCell) at lag 5: {} units.",
            "a GRU of {} u",
        ),
        (
            {"layers": 2},
            4,
            "latch (layers=2) at lag 5: {} units in each of 2 layers.",
            "an LSTM of {} units in each of 2 layers",
        ),
    ],
)
def test_another_net_answers_for_itself(net, numbers, said, named):
    rows = table(group(counts=MIXED), group(counts=sharp(12), **net))
    found = from_rows(rows, Question(LATCH, 5, Model(units=1, **net)))
    assert found.units >= 12 > from_rows(rows, Question(LATCH, 5)).units
    values = as_dict(found)
    assert values["carry_numbers"] == numbers * found.units
    assert values["constructed"] is None
    assert f"model.{'='.join(map(str, *net.items()))}" in values["command"]
    assert said.format(found.units) in words_of(found)
    assert named.format(found.units) in code(found, "keras")


def test_the_tasks_own_length_counts_first():
    rows = (group(counts={1: (64, 64)}, length=40), group(counts=MIXED))
    assert ask(Question(LATCH, 5), *rows).point.length == LATCH.length(5)


def test_the_command_measures_what_was_asked():
    line = command(Answer(Question(task_class("delay_line")(symbols=4), 50)))
    assert line.startswith("memcap train task=delay_line task.symbols=4 task.lag=50 ")
    assert line.endswith(
        "study=delay_line_L50 design=bisect 'axes={model.units: 1..102, seed: 8}'"
    )
    assert "model.units: 1..16" in command(Answer(Question(LATCH, 50)))


def test_the_command_has_the_recipe_of_the_next_longer_lag_with_what_was_changed_in_it(
    tmp_path,
):
    rows = (
        group("delay_line", 4, sharp(5), recipe="open_gate", lr=0.07),
        group("delay_line", 16, sharp(17), recipe="mine", lr=0.2),
    )
    near, far, beyond = (
        command(ask(Question(DELAY, lag, config_dir=tmp_path), *rows))
        for lag in (3, 5, 20)
    )
    assert " recipe=open_gate " in near
    assert " recipe.lr=0.07 " in near
    assert f"memcap train --config-dir {tmp_path} task=delay_line" in far
    assert " recipe=mine " in far
    assert " recipe=mine " in beyond


def timed(lags, a_step=0.01):
    """Points of delay lines, whose nets took as long as their units and steps say."""
    rows = table(*(group("delay_line", lag, sharp(lag + 1)) for lag in lags))
    return frontier(
        rows.with_columns(run_seconds=a_step * pl.col("units") * pl.col("length"))
    )


def test_nets_of_the_advised_width_take_what_such_nets_took():
    found = answer(Question(DELAY, 4), timed([4]))
    assert found.is_width_measured
    assert seconds(found) == pytest.approx(8 * 0.01 * found.units * found.point.length)


@pytest.mark.parametrize("lag", [8, 40])
def test_a_study_takes_what_its_own_nets_take(lag):
    """Not what as many nets took at other lags, which are fewer and shorter."""
    found = answer(Question(DELAY, lag), timed([4, 16]))
    axes = command(found).split("model.units: ")[1].split(",")[0]
    first, last = map(int, axes.split(".."))
    narrow, wide = (8 * 0.01 * units * DELAY.length(lag) for units in (first, last))
    assert 2 * narrow < seconds(found) < (last - first + 1) * wide
    assert f"(very roughly {duration(seconds(found))} on one core):" in words_of(found)


def test_a_study_of_a_longer_budget_takes_longer():
    rows = [group("latch", lag, {8: (0, 8)}, budget=1000) for lag in (4, 16)]
    longer = [group("latch", lag, {8: (0, 8)}, budget=2000) for lag in (4, 16)]
    one, two = (seconds(ask(Question(LATCH, 8), *each)) for each in (rows, longer))
    assert one == pytest.approx(2 * two)  # of rows, and the command has its own budget


# Verdicts


def lost(**more):
    """Delay lines of lag 4 whose members at 5 and 6 units forget beyond the trained length."""
    return group(
        "delay_line",
        4,
        {4: (0, 8), 5: (8, 8), 6: (8, 8), 7: (8, 8), 8: (8, 8)},
        steady={5: 0, 6: 0},
        **more,
    )


def test_the_steady_verdict_counts_and_the_trained_length_alone_stands_beside():
    steady, words = asked(DELAY, 4, lost())
    trained, others = asked(
        DELAY, 4, points=frontier(table(lost(), lost()), at="trained")
    )
    assert (steady["at"], trained["at"], trained["units"]) == ("steady", "trained", 5)
    assert steady["units"] in (7, 8)
    assert (
        "succeed, also in sequences 4.44 times as long with the same lag, within 1,500 steps"
        in words
    )
    assert "At the trained length alone, by the same training: for 9 of 10 " in words
    assert "succeed at the length that they were trained at" in others
    assert "the trained length alone" not in others


def test_a_stretched_score_of_chance_is_said_to_be_one():
    fades = group("latch", 5, {6: (0, 8), 7: (8, 8), 9: (8, 8)}, steady={7: 0, 9: 0})
    words = asked(LATCH, 5, fades)[1]
    assert "is 0.5, about what a net without memory has (0.5)." in words


def test_rows_of_another_end_of_training_are_used_where_there_are_no_others_and_named():
    old = [
        group(
            "delay_line", lag, {lag: (0, 8), lag + 1: (8, 8)}, evaluation_until="solved"
        )
        for lag in (2, 4, 8, 16)
    ]
    for lag in (4, 6):
        name = f"delay_line (trained until solved) at lag {lag}: "
        assert asked(DELAY, lag, *old)[1].startswith(name)
    both = frontier(table(*old, lost(), group("delay_line", 9, {8: (0, 8), 9: (8, 8)})))
    assert asked(DELAY, 4, points=both)[1].startswith("delay_line at lag 4: ")
    assert (
        "between lags 4 and 9. The measured lags are 4, 9."
        in asked(DELAY, 6, points=both)[1]
    )


# Published rows


@cache
def published(at):
    return frontier(pl.concat(map(store.read, rows_files(ATLAS))), at)


@pytest.mark.slow
def test_advice_never_falls_with_the_lag_and_a_stricter_verdict_never_takes_less():
    """Of every task and cell that is published, by all rows, at and beside lags that
    one study or another measured."""
    nets = {(p.task, p.model): p for p in published("steady")}
    assert len(nets) > 30
    for task, model in nets:
        lags = [
            lag for lag in (3, 4, 8, 9, 16, 17, 25, 26, 50) if lag >= task.smallest_lag
        ]
        verdicts = ("steady", "trained") if task.stream else ("up_to", "steady")
        advised = {
            at: [
                answer(Question(task, lag, model, at=at), published(at)).units
                for lag in lags
            ]
            for at in verdicts
        }
        for at, widths in advised.items():
            known = [width for width in widths if width is not None]
            assert known == sorted(known), (task, model, at)
        for strict, loose in zip(*advised.values(), strict=True) if task.stream else ():
            assert strict is None or loose is None or strict >= loose, (task, model)


@pytest.mark.parametrize(
    ("lag", "passed", "runs", "named"),
    [(12, 13, 16, "lags 8 and 16"), (20, 5, 8, "lag 16")],
)
def test_a_prediction_says_how_many_passed_at_the_lags_next_to_it(
    lag, passed, runs, named
):
    counts = {1: (0, 8), 2: (6, 8), 3: (8, 8), 4: (8, 8)}
    fewer = {1: (0, 8), 2: (6, 8), 3: (5, 8), 4: (5, 8)}
    lags = {4: counts, 8: counts, 16: fewer}
    found = answer(
        Question(LATCH, lag),
        frontier(table(*(group("latch", k, lags[k]) for k in lags))),
    )
    assert (found.passes.passed, found.passes.runs) == (passed, runs)
    said = (
        f"{passed} of {runs} training runs at {named} with {found.units} units succeed"
    )
    assert said in words_of(found)


def test_where_no_net_has_the_width_the_next_wider_ones_are_counted():
    counts = {4: (0, 8), 5: (6, 8), 9: (8, 8), 14: (8, 8)}
    found = ask(Question(LATCH, 5), group(counts=counts))
    assert found.units not in counts
    assert (as_dict(found)["nets"], as_dict(found)["nets_units"]) == (8, 9)
    words = words_of(found)
    said = (
        "No net of that width was trained; a curve through the counts of narrower and"
        " wider ones gives it. 8 of 8 training runs with 9 units succeed"
    )
    assert said in words


# Every lag up to one


UP_TO = {"evaluation_until": "up_to"}


def test_rows_of_every_lag_answer_before_those_of_one_lag():
    """Nets of 4 units are right at their own lag, whichever way they were trained, and
    elsewhere of 6."""
    counts = {3: (0, 16), 4: (16, 16), 5: (16, 16), 6: (16, 16), 7: (16, 16)}
    alone = group(lag=20, counts=counts)
    everywhere = group(lag=20, counts=counts, up_to={4: 0, 5: 0}, **UP_TO)
    found = ask(Question(LATCH, 20, at="up_to"), alone, everywhere)
    assert (found.units, found.at, found.lacks) == (6, "up_to", None)
    assert sentences(found)[0].startswith(
        "latch at every lag up to 20: 6 units. 16 of 16 training runs with 6 units succeed"
    )
    points = frontier(table(alone, everywhere), "steady")
    found = answer(Question(LATCH, 20, at="steady"), points)
    assert (found.units, found.at, found.lacks) == (4, "trained", None)
    assert sentences(found)[0].startswith("latch at lag 20 alone: 4 units.")


def test_rows_of_nets_that_are_right_anywhere_answer_before_others():
    """Ask for 5 units, where 4 are enough if it begins at the first step."""
    counts = {4: (16, 16), 5: (16, 16), 6: (16, 16)}
    first = group(lag=20, counts=counts, **UP_TO)
    anywhere = group(lag=20, counts=counts, up_to={4: 0}, evaluation_until="anywhere")
    found = ask(Question(LATCH, 20), first, anywhere)
    assert (found.units, found.at, found.lacks) == (5, "anywhere", None)
    words = sentences(found)[0]
    assert words.startswith(
        "latch at every lag up to 20, wherever in a sequence the task begins: 5 units."
    )
    found = ask(Question(LATCH, 20), first)
    assert (found.units, found.at, found.lacks) == (4, "up_to", "later starts")
    assert "right after distractors, and often it is not." in sentences(found)[1]
    assert "evaluation.until=anywhere" in sentences(found)[-1]
    assert "# not measured as asked\n" in code(found, "torch")
    assert '"RIGHT ANYWHERE' in code(found, "torch")
    count = task_class("count")()  # before which nothing can come
    found = ask(Question(count, 20), group(task="count", lag=20, **UP_TO))
    assert found.lacks is None


def test_where_one_lag_alone_was_measured_the_answer_says_so_and_how_to_measure_the_others():
    found = ask(Question(LATCH, 20), group(lag=20, counts=sharp(3)))
    assert found.lacks == "shorter lags"
    assert (
        "This answer is for lag 20 alone. It was not measured whether such a net"
        in sentences(found)[1]
    )
    assert (
        "task=latch task.lag=20 evaluation.until=anywhere study=latch_L20"
        in sentences(found)[-1]
    )
    stream = answer(Question(DELAY, 4), measured())
    assert (stream.lacks, stream.at) == (None, "steady")


def test_nets_that_are_right_up_to_a_longer_lag_are_right_up_to_a_shorter_one():
    rows = [
        *group(lag=8, counts=sharp(6), **UP_TO),
        *group(lag=40, counts=sharp(3), **UP_TO),
    ]
    points = frontier(table(rows))
    long = answer(Question(LATCH, 40), points)
    for lag in (8, 20):
        found = answer(Question(LATCH, lag), points)
        expected = (long.units, 40, "longer")
        assert (found.units, found.training_lag, found.kind) == expected
        assert sentences(found)[1].startswith("Train them up to lag 40, where")
        assert "on latch at lag 40, and judge" in code(found, "torch")
    assert (long.training_lag, long.kind) == (40, "measured")


# Shares of runs, and of whole sequences


def test_a_pass_says_what_it_is_of_whole_sequences():
    copy = task_class("copy")(items=16)
    found = ask(Question(copy, 20), group("copy", 20, sharp(3), knobs=vars(copy)))
    assert (
        "A net passes if 99 % of the symbols are right. Then at least 84 % of whole"
        " sequences of 16 symbols are right."
    ) in sentences(found)


@pytest.mark.parametrize(("passed", "runs"), [(0, 8), (1, 1), (28, 29), (86, 86)])
def test_an_interval_of_a_share_is_wilsons(passed, runs):
    interval = binomtest(passed, runs).proportion_ci(method="wilson")
    expected = (interval.low, interval.high)
    assert wilson(passed, runs) == pytest.approx(expected, abs=1e-4)


# Scripts


# of a GRU nets are published for which it begins at the first step
WORDS = (
    *("answer", "--task", "adding", "--lag", "8"),
    *("--cell", "gru", "--code", "keras"),
)


@pytest.fixture(scope="module")
def rows():
    return store.read(rows_file(ATLAS))


def test_its_script_has_the_advised_width_and_the_recipe_of_the_rows(rows):
    result = from_rows(rows, Question(LATCH, 5, at="steady"))
    text = code(result, "torch")
    recipe = result.point.recipe
    _, _, passed, runs = result.passes
    evidence = f"{passed} of {runs} training runs passed"
    assert f"UNITS = {result.units}  # {evidence}\n" in text
    assert f"BATCH = {recipe.batch}\nBUDGET = {recipe.budget} " in text
    assert " ".join(sentences(result)[0].split()) in " ".join(text.split())


def test_the_script_of_an_unmeasured_lag_has_the_recipe_of_the_next_longer_one(rows):
    """Copies are measured at lags 25 and 50; what trains at 50 trains at 30."""
    copy = task_class("copy")(items=16)
    result, longer, shorter = (
        from_rows(rows, Question(copy, lag)) for lag in (30, 50, 25)
    )
    assert result.point is None
    assert longer.point.recipe != shorter.point.recipe
    recipe = longer.point.recipe
    text = code(result, "torch")
    assert f"RATE = {recipe.lr:g} " in text
    assert f"CLIP = {recipe.clip:g} " in text
    assert f"UNITS = {result.units}  # not measured" in text


def test_beyond_twice_the_longest_measured_lag_there_is_no_script():
    """Lags to 8 are measured; at 16 nothing trains."""
    near, far = (answer(Question(DELAY, lag), measured()) for lag in (15, 17))
    assert "UNITS = " in code(near, "keras")
    assert definition_lines(near)
    assert not definition_lines(far)
    with pytest.raises(
        UserError, match="more than twice the longest of them no script"
    ):
        code(far, "keras")


def test_without_a_width_there_is_no_script():
    question = Question(task_class("delay_line")(), 7)
    with pytest.raises(
        UserError, match="code=keras: delay_line at lag 7: not measured"
    ):
        code(answer(question, []), "keras")


def test_the_command_prints_a_script_and_names_the_one_that_writes_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("sys.argv", ["memcap", *WORDS])
    done = memcap(tmp_path, *WORDS)
    assert done.out.startswith('"""Train a GRU of 1 unit in Keras 3 on adding at lag 8')
    assert f"\n        memcap {' '.join(WORDS)} -o net.py\n" in done.out
    assert "UNITS = 1  # not measured as asked\n" in done.out
    assert done.err == "memcap: 1 unit: not measured as asked\n"
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["memcap", *WORDS, "-o", "net.py"])
    words = memcap(tmp_path, *WORDS, "-o", "net.py").out
    assert words == "net.py, and its sequences in net.npz (5.1 MB)\n"
    assert (tmp_path / "net.py").read_text() == done.out


def test_python_writes_a_script_too(tmp_path, rows):
    import memcap as library

    file = tmp_path / "net.py"
    text = library.answer("latch", lag=5, rows=rows).code("flax", file)
    assert file.read_text() == text
    assert f"memcap.answer(...).code('flax', '{file}')" in text
    assert file.with_suffix(".npz").exists()


def test_the_time_is_said_where_no_measured_lag_trains():
    members = table(*(group("latch", lag, {8: (0, 8)}) for lag in (4, 16)))
    found = answer(Question(LATCH, 8), frontier(members))
    assert found.lags == []
    assert " on one core):" in words_of(found)
