"""Whose rows answer: the user's own where they measure the lag, else the published
ones; or only those of a folder."""

import json
import re
import shlex
from pathlib import Path

import pytest
from beat_files import first, put
from command import memcap
from study_rows import group, table, write

from memcap import api, store
from memcap.answers.answer import Question
from memcap.answers.next_study import command, seconds
from memcap.answers.sources import best_answer, cell_name, rows_for
from memcap.answers.words import as_dict, code, sentences, why
from memcap.knobs import UserError
from memcap.launch.app import compose_jobs
from memcap.models.model import Model
from memcap.store import files, shards
from memcap.store.shards import rows_file
from memcap.tasks import task_class
from memcap.terminal.words import plural

DELAY = task_class("delay_line")()
LATCH = task_class("latch")()


def sharp(lag, width, seeds=8):
    return group(
        "delay_line",
        lag,
        {width - 1: (0, seeds), width: (seeds, seeds), width + 1: (seeds, seeds)},
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory, and an atlas that measured lags 4, 8 and 16 at one
    unit more than the lag, 8 in a study of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "ROOT", tmp_path / "package")
    publish("atlas", *(sharp(lag, lag + 1) for lag in (4, 16)))
    publish("ggt", sharp(8, 9))
    return tmp_path


def publish(study, *groups):
    rows_file(study).parent.mkdir(parents=True, exist_ok=True)
    files.write_table(rows_file(study), table(*groups))
    shards._studies.cache_clear()


@pytest.mark.parametrize(
    ("recipe", "counted"), [("hold", (19, 20)), ("chrono", (8, 8))]
)
def test_of_the_advised_nets_those_of_fresh_seeds_are_counted(place, recipe, counted):
    counts = {9: (19, 20), 10: (20, 20)}
    publish("up_to_fresh_seeds", group("delay_line", 8, counts, recipe=recipe))
    found = best_answer(Question(DELAY, 8))
    assert (found.units, found.passes[1:]) == (9, (9, *counted))
    chose = ", on new seeds," in sentences(found)[0]
    assert chose == (counted == (19, 20))


def own(place, *groups):
    write(place / "outputs" / "mine", *groups)


def test_the_atlas_answers_one_who_has_no_rows(place):
    found = best_answer(Question(DELAY, 8))
    assert (found.source, found.units, found.is_conclusive) == ("atlas", 9, True)
    assert ", of memcap's published atlas; recipe" in "".join(why(found))
    between = best_answer(Question(DELAY, 10))
    assert as_dict(between)["between"] == (8, 16)


def test_own_rows_that_measure_the_lag_come_first(place):
    own(place, sharp(8, 7))
    found = best_answer(Question(DELAY, 8))
    assert (found.source, found.units) == ("outputs", 7)
    assert ", from the rows in outputs; recipe" in "".join(why(found))
    assert best_answer(Question(DELAY, 4)).source == "atlas"


@pytest.mark.breadth
def test_own_rows_that_try_the_lag_and_measure_nothing_do_not_hide_the_atlas(place):
    """As one run at one width, solved or not."""
    own(
        place,
        group("delay_line", 8, {2: (0, 1)}),
        group("delay_line", 16, {40: (1, 1)}),
        group("delay_line", 20, {2: (0, 1)}),
    )
    assert [best_answer(Question(DELAY, lag)).source for lag in (8, 16)] == [
        "atlas",
        "atlas",
    ]
    assert best_answer(Question(DELAY, 20)).source == "outputs"  # nothing else tried it
    assert best_answer(Question(DELAY, 20)).units is None


def test_of_rows_that_measure_the_lag_those_with_more_runs_count_and_the_others_are_named(
    place,
):
    own(place, group("delay_line", 8, {6: (0, 2), 7: (2, 2), 8: (2, 2)}))
    found = best_answer(Question(DELAY, 8))
    assert (found.source, found.units) == ("atlas", 9)
    said = sentences(found)[-1]
    assert said.startswith(
        f"Your own 6 runs in outputs would give {found.second.units} unit"
    )
    assert said.endswith("name them: memcap answer ... outputs")
    assert best_answer(Question(DELAY, 8, rows=place / "outputs")).second is None
    own(place, sharp(8, 7, seeds=16))
    found = best_answer(Question(DELAY, 8))
    assert (found.source, found.units, found.second.source) == ("outputs", 7, "atlas")
    said = sentences(found)[-1]
    assert said.startswith("The 24 runs, of memcap's published atlas, would give 9 u")


ANYWHERE = {"evaluation_until": "anywhere"}
FIRST_STUDY = [  # whose longest lag is 50, and which tried 3 units at lag 1 alone
    group("latch", 1, {1: (1, 4), 2: (2, 2), 3: (3, 3)}, **ANYWHERE),
    *(group("latch", lag, {1: (4, 4)}, **ANYWHERE) for lag in (4, 16, 50)),
]


@pytest.mark.parametrize(("lag", "longer"), [(150, 200), (300, None)])
def test_a_first_study_makes_no_answer_worse(place, lag, longer):
    for_all = {1: (16, 16), 2: (16, 16)}
    publish("atlas", *(group("latch", k, for_all, **ANYWHERE) for k in (16, 50, 200)))
    alone = best_answer(Question(LATCH, lag))
    own(place, *FIRST_STUDY)
    found = best_answer(Question(LATCH, lag))
    assert (found.source, found.units, found.passes) == (
        "atlas",
        alone.units,
        alone.passes,
    )
    assert found.is_known == bool(longer)
    assert f"at lag {longer or 200} with {found.units} unit" in sentences(found)[0]
    assert "Your own 4 runs at lag 50 in outputs would give" in "".join(
        why(found) + sentences(found)
    )


def test_a_prediction_names_runs_of_the_longest_lags(place):
    own(place, *FIRST_STUDY)
    said = sentences(best_answer(Question(LATCH, 300, rows=place / "outputs")))[0]
    assert "No net so wide was trained: it is enough if" in said
    assert "4 of 4 training runs at lag 50 with 1 unit succeed" in said


def test_own_rows_that_agree_are_named_only_where_it_is_asked_why(place):
    publish("atlas", group("latch", 5, {1: (8, 8), 2: (8, 8)}))
    own(place, group("latch", 5, {1: (7, 7), 2: (7, 7)}))
    found = best_answer(Question(LATCH, 5, at="steady"))
    assert (found.source, found.units) == ("atlas", found.second.units)
    assert "Your own" not in "".join(sentences(found))
    assert why(found)[0].startswith("Your own 14 runs in outputs would give 1 unit, ")


def test_nets_of_the_task_and_lag_that_an_interrupted_study_lacks_are_counted(place):
    own(place, group("latch", 5), group("latch", 6), sharp(8, 7))
    folder = place / "outputs" / "mine"
    put(folder, f"{1:016x}", first(ended="interrupted"), ["a", "b", "c"])
    line = "Not complete: 3 members without a row. See: memcap status outputs"
    said, others = (
        sentences(best_answer(Question(LATCH, lag, at="steady"))) for lag in (5, 6)
    )
    assert said[1] == line
    assert line not in "".join(others)
    assert line in memcap(place, "figure", "frontier", "outputs").err
    put(folder, f"{1:016x}", first(ended="done"), ["a", "b", "c"])
    assert not best_answer(Question(LATCH, 5, at="steady")).missing


def test_what_other_published_studies_measured_is_named_where_no_width_is_known(place):
    there = group("latch", 40, {1: (4, 8), 2: (8, 8)}, cell="OptimizedLSTMCell")
    publish("theirs", there, group("latch", 60, {1: (0, 8), 3: (0, 8)}))
    at_40 = "latch at lag 40 alone, where 8 of 8 runs with 2 units pass (study theirs)."
    at_60 = "latch at lag 60 alone, where 0 of 8 runs with 3 units pass (study theirs)."
    found = best_answer(Question(LATCH, 40))
    assert sentences(found)[1] == f"Also measured: {at_40}"
    assert as_dict(found)["elsewhere"]["study"] == "theirs"
    others = Question(LATCH, 55), Question(task_class("latch")(symbols=4), 40)
    for question, line in zip(others, (at_60, at_40), strict=True):
        assert line in "".join(sentences(best_answer(question)))
    assert not best_answer(Question(LATCH, 40, rows=place / "package")).elsewhere


def test_where_the_atlas_has_one_lag_alone_the_option_that_asks_so_is_named(place):
    several = (group("latch", lag, evaluation_until="up_to") for lag in (3, 8))
    publish("atlas", *several, group("latch", 40, {1: (8, 8), 2: (8, 8)}))
    found = best_answer(Question(LATCH, 40))
    assert "; not measured. " in sentences(found)[0]
    line = (
        "where 8 of 8 runs with 1 unit pass (study atlas: --exactly answers from it)."
    )
    assert line in "".join(sentences(found))


def test_a_time_to_measure_is_that_of_the_knobs_asked(place):
    copy = task_class("copy")
    groups = {n: group("copy", 20, knobs={"items": n}, run_seconds=n) for n in (8, 16)}
    publish("atlas", *groups.values())
    lower, upper, beyond, below = (
        seconds(best_answer(Question(copy(items=n), 20))) for n in (9, 15, 50, 4)
    )
    assert below < lower < upper < beyond


def test_of_several_layers_what_one_takes_is_named(place):
    publish("atlas", group("latch", 20, {1: (8, 8), 2: (8, 8)}))
    found = best_answer(Question(LATCH, 20, Model(layers=2, units=1)))
    known = "known: 1 unit (one layer), of memcap's published atlas"
    assert sentences(found)[0] == f"latch (layers=2) at lag 20: not measured; {known}."
    with pytest.raises(UserError, match=re.escape(known)):
        code(found, "keras")


def test_an_lstm_is_one_cell_by_whatever_name():
    assert {cell_name(name) for name in ("lstm", "OptimizedLSTMCell", "LSTMCell")} == {
        "lstm"
    }


@pytest.mark.breadth
def test_where_neither_measures_the_lag_the_one_with_most_lags_predicts(place):
    own(place, sharp(5, 5), sharp(9, 9))
    assert best_answer(Question(DELAY, 7)).source == "atlas"
    own(place, sharp(5, 5), sharp(9, 9), sharp(11, 11))
    found = best_answer(Question(DELAY, 7))
    assert (found.source, found.lags) == ("outputs", [5, 9, 11])


def test_a_folder_that_is_named_answers_alone(place):
    own(place, sharp(8, 7))
    write(place / "other", sharp(4, 3))
    assert best_answer(Question(DELAY, 4, rows=place / "other")).units == 3
    assert best_answer(Question(DELAY, 4)).units == 5
    assert best_answer(Question(DELAY, 8, rows=place / "other")).units is None


def test_only_rows_that_can_answer_are_fitted():
    others = [
        {"knobs": {"symbols": 4}},
        {"cell": "GRUCell"},
        {"readout": "lstm"},
        {"task": "latch"},
        {"layers": 2},
    ]
    kinds = [{"task": "delay_line", "lag": 4} | other for other in [{}, *others]]
    rows = table(*(group(**kind) for kind in kinds))
    kept = rows_for(rows, DELAY, Model(units=1))
    assert kept["key"].to_list() == rows["key"][:12].to_list()


def test_a_knob_that_was_not_measured_has_the_nearest_that_were_beside_it():
    latch = task_class("latch")
    found = best_answer(Question(latch(symbols=4), 50, rows=Path("atlas")))
    assert (found.units, [each.question.task.symbols for each in found.beside]) == (
        None,
        [2, 8],
    )
    two, eight = (plural(each.units, "unit") for each in found.beside)
    said = f"between {two} (symbols=2) and {eight} (symbols=8); not measured. "
    assert said in sentences(found)[0]
    assert f"UNITS = {found.beside[1].units}  # not measured" in code(found, "torch")
    wider = best_answer(Question(latch(symbols=16), 50, rows=Path("atlas")))
    assert [each.question.task.symbols for each in wider.beside] == [8, 32]


@pytest.mark.parametrize(
    ("name", "lag", "knobs"),
    [
        ("latch", 50, {}),
        ("copy", 19, {}),  # which nets that were trained up to lag 50 answer
        ("copy", 50, {"items": 16}),
        ("delay_line", 50, {}),
    ],
)
def test_the_command_trains_the_nets_that_the_answer_counts(name, lag, knobs):
    task = task_class(name)(**knobs)
    found = best_answer(Question(task, lag, at="up_to", rows=Path("atlas")))
    assert as_dict(found)["command"] == command(found) == sentences(found)[-1]
    fresh = store.read(rows_file("up_to_fresh_seeds"))
    overrides = shlex.split(command(found))[2:]
    ((job,),) = compose_jobs([*overrides, f"seed={fresh['seed'].min()}"])
    assert len(job.members) == 8
    assert {member.key for member in job.members} <= set(fresh["key"])


@pytest.mark.parametrize(
    ("knobs", "right"), [((), 0.99), (("right=null",), None), (("right=0.9",), 0.9)]
)
def test_a_count_is_asked_about_so_that_it_is_right_when_rounded(
    knobs, right, tmp_path
):
    words = [word for knob in knobs for word in ("--knob", knob)]
    line = ["answer", "--task", "count", "--lag", "50", *words, "--json"]
    found = json.loads(memcap(tmp_path, *line).out)
    assert found["knobs"]["right"] == right
    task = api.answer("count", 50, "atlas", knobs=knobs).question.task
    assert task == task_class("count")(right=right)


MATRICES = "delta_net", "gated_delta_net", "linear_attention", "mamba2", "mlstm"


def recall(folder, pairs, *words):
    line = ["answer", "--task", "mqar", "--pairs", pairs, *words]
    return memcap(folder, *line).out.replace("\n", " ")


@pytest.mark.parametrize("cell", MATRICES)
@pytest.mark.parametrize("pairs", [4, 8, 16, 32])
def test_pairs_have_an_answer_for_each_cell_with_a_matrix(pairs, cell, tmp_path):
    said = recall(tmp_path, pairs, "--cell", cell)
    knobs = "symbols=32" if pairs == 4 else f"pairs={pairs}, symbols=32"
    begin = rf"mqar \({knobs}, {cell}\) at lag {2 * pairs} alone: (\d+) units?, or ([\d,]+) bytes"
    units, size = re.match(begin, said).groups()
    assert int(size.replace(",", "")) == 64 * int(units) + (
        69 if cell == "mlstm" else 1
    )
    assert "with keys of 16 numbers (9 of 10 runs pass at " in said
    assert "within 3,000 steps" in said
    assert f"model.units={units} 'axes={{seed: 8}}'" in said


@pytest.mark.parametrize("cell", MATRICES)
@pytest.mark.parametrize("pairs", [16, 32])
def test_eight_seeds_of_all_studies_decide_the_recall_of_many_pairs(pairs, cell):
    task = task_class("mqar")(pairs=pairs, symbols=32)
    found = best_answer(Question(task, 2 * pairs, Model(cell, 1), at="steady"))
    assert found.source == "recall_pairs"
    assert all(found.point.passed(units)[1] == 8 for units in (8, 12, 16))


def test_between_measured_pairs_are_those_of_equal_symbols(tmp_path):
    said = recall(tmp_path, 12, "--cell", "mamba2")
    assert re.search(
        r"at lag 24 alone: between \d+ units \(pairs=8\) and \d+ units \(pairs=16\)",
        said,
    )
    one = Question(task_class("mqar")(pairs=20, symbols=32), 24, Model("mamba2", 1))
    assert best_answer(one).units is None  # 32 pairs have no lag of 24


def test_of_pairs_an_lstm_says_what_was_tried(tmp_path):
    said = recall(tmp_path, 4)
    assert "0 of 30 runs with up to 48 units passed within 3,000 steps" in said
    assert (
        "longer training: 0 of 1 with 48 units in 24,000 steps, 0 of 1 with 64" in said
    )
    said = recall(tmp_path, 8, "--cell", "gru")
    assert "at lag 16 alone: not measured" in said
    assert "To measure it (very roughly " in said
    said = recall(tmp_path, 16)
    assert "at lag 32 alone: not measured" in said
    assert "where 0 of 2 runs with 64 units pass (study recall_pairs)" in said
    said = recall(tmp_path, 4, "--knob", "symbols=8", "--cell", "gru")
    assert "8 of 8 training runs with 32 units succeed within 24,000 steps" in said


def test_a_cell_without_rows_of_the_task_is_told_which_have_some(place):
    publish("atlas", group("latch", 20))
    found = best_answer(Question(LATCH, 20, Model("gated_delta_net", 1)))
    assert sentences(found)[1] == (
        "Cells with rows of latch: lstm. memcap rank gated_delta_net compares cells on the"
        " tasks of the map."
    )
