"""The search for the width of own sequences, and `memcap fit`: what it trains, says,
and refuses."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from command import memcap
from study_rows import row_of

from memcap import store
from memcap.config.recipes import Recipe
from memcap.own import search as own_data
from memcap.own.search import WidthSearch
from memcap.own.task import Data
from memcap.store.columns import columns_of
from memcap.store.rows import frame


def table(targets, count=300, steps=6):
    """A table whose sequences show names, and what some function of these says at their end."""
    shown = np.random.default_rng(0).integers(0, 3, (count, steps))
    names = np.array(["a", "b", "c"])[shown.ravel()]
    said = np.repeat(targets(shown), steps)
    return pl.DataFrame(
        {"id": np.repeat(np.arange(count), steps), "seen": names, "y": said}
    )


@pytest.fixture
def search(tmp_path, monkeypatch):
    """A search of nets that nobody trains: their loss is a function of their width,
    seed and recipe."""
    file = tmp_path / "données.npz"  # JSON writes its name otherwise
    np.savez(
        file, inputs=np.arange(600).reshape(100, 6) % 3, targets=np.arange(100) % 2
    )
    rows = []

    def make(loss):
        def run_study(members, engine, study, quiet):
            known = {row["key"] for row in rows}
            new = [member for member in members if member.key not in known]
            for member in new:
                worse = 0.2 * (member.recipe.name != "chrono")
                shown = member.model.units, member.seed, member.recipe.name
                held = loss(*shown) + 0.001 * member.task.fold
                held += 0.3 * (member.lag < 4)  # below, nets lack a step that matters
                outcome = {
                    "validation_loss": held + worse,
                    "held_out_loss": held,
                    "train_loss": 0.3,
                    "final": 0.9,
                }
                rows.append(
                    row_of(**columns_of(member.config), seed=member.seed, **outcome)
                    | {"key": member.key}
                )
            keys = {member.key for member in members}
            return frame([row for row in rows if row["key"] in keys])

        monkeypatch.setattr(own_data, "run_study", run_study)
        monkeypatch.setattr(store, "read", lambda folder: frame(rows))
        task = Data(file=str(file), criterion="best")
        return WidthSearch(task, tmp_path)

    return make, rows


@pytest.mark.parametrize(("count", "every"), [(100, 10), (2000, 19), (20_000, 100)])
def test_nets_are_evaluated_once_a_pass(count, every, tmp_path):
    file = tmp_path / "mine.npz"
    inputs = np.arange(2 * count).reshape(count, 2) % 3
    np.savez(file, inputs=inputs, targets=np.arange(count) % 2)
    search = WidthSearch(Data(file=str(file), criterion="best"), tmp_path)
    assert search.member(4, Recipe("hold"), 0, 0).evaluation.every == every


def test_the_recipe_that_validation_prefers_finds_the_width(search):
    make, rows = search
    curve = make(lambda units, *_: 0.1 if units >= 11 else 0.5).run()
    assert (curve.recipe.name, curve.units, curve.below) == ("chrono", 11, 10)
    widths = [width.units for width in curve.widths]
    assert widths == [1, 2, 4, 8, 9, 10, 11, 16, 32]
    assert all(width.runs >= 10 for width in curve.widths)
    places = {
        (row["units"], row["knobs"], row["seed"]) for row in rows if row["units"] == 4
    }
    assert len({seed for _, _, seed in places}) == len(places)  # starts of its own
    before = len(rows)
    assert make(lambda units, *_: 0.1 if units >= 11 else 0.5).run() == curve
    assert len(rows) == before  # a rerun trains nothing


@pytest.mark.parametrize(
    ("of_wide", "units", "widest"), [(0.75, None, 8), (0.1, 9, 32)]
)
def test_where_no_narrow_width_helps_the_race_says_whether_wide_ones_may(
    search, of_wide, units, widest
):
    make, _ = search
    curve = make(lambda units, *_: 0.75 if units < 9 else of_wide).run()
    assert curve.units == units
    assert curve.widths[-1].units == widest


def test_where_some_starts_train_a_width_more_are_tried(search):
    """One unit trains from each third seed."""
    make, _ = search
    curve = make(
        lambda units, seed, _: 0.1 if units > 1 or seed % 3 == 2 else 0.7
    ).run()
    assert curve.units == 1
    assert [width.runs for width in curve.widths if width.units < 4] == [30, 10]


def test_each_end_has_its_own_recipe(search):
    make, _ = search

    def loss(units, seed, recipe):
        return 0.1 if (recipe == "chrono") == (units < 3) else 0.6

    curve = make(loss).run()
    recipes = {width.units: width.recipe.name for width in curve.widths}
    assert (curve.units, recipes[1]) == (1, "chrono")
    assert recipes[8] != "chrono"


@pytest.mark.parametrize(
    ("enough", "of_wide", "widest"),
    [(1, 0.1, 8), (2, 0.1, 8), (3, 0.1, 16), (8, 0.1, 32), (2, 0.05, 32)],
)
def test_widths_double_until_four_times_what_is_enough_gains_nothing(
    search, enough, of_wide, widest
):
    make, _ = search
    curve = make(
        lambda units, *_: 0.5 if units < enough else 0.1 if units < 16 else of_wide
    ).run()
    assert curve.widths[-1].units == widest


def test_where_the_file_has_a_split_repeats_of_other_seeds_are_in_place_of_folds(
    search, tmp_path
):
    make, rows = search
    mine = make(lambda units, *_: 0.1 if units >= 3 else 0.5)
    parts = np.array(["train", "train", "test"])[np.arange(100) % 3]
    np.savez(tmp_path / "split.npz", **np.load(mine.task.file), split=parts)
    curve = replace(
        mine, task=replace(mine.task, file=str(tmp_path / "split.npz"))
    ).run()
    assert (curve.units, curve.folds) == (3, tuple(range(5)))
    assert [width.runs for width in curve.widths] == [10] * 6
    assert {row["seed"] for row in rows} == set(range(10))


CSV = "sequence,x,y\na,1,0\na,2,0\nb,3,1\nb,4,1\nc,1,0\nc,2,0\n"
BAD = {
    "mine.csv": "--target: not given; which column of mine.csv must the net predict?",
    "mine.txt --target y": (
        "mine.txt: must be a .csv, .tsv, .parquet, .arrow, .feather, .ipc or .npz file"
    ),
    "gone.npz": "task.file=gone.npz: cannot be read",
    "gone.npz --target y": "--target y: arrays have no columns",
    "large.csv --target y --folds 6": "folds=6: must be a whole number, at least 1",
    "large.csv --target y --most 100000": "most=100000: must be a whole number",
    "mine.csv --target y --missing drop": "'drop'",
    "mine.npz --window 9": "--window 9: arrays have no columns; leave it out",
    "mine.csv --target y --check --json": "--check: prints words alone",
    "mine.csv --target y": "too few sequences or groups: at least 10",
    "one.csv --target y": "has one line a sequence, up to its answer",
}


@pytest.mark.parametrize("words", BAD)
def test_a_mistake_is_one_line_before_anything_trains(tmp_path, words):
    (tmp_path / "mine.csv").write_text(CSV)
    table(lambda shown: shown[:, 0] == 0, 20).rename({"id": "sequence"}).write_csv(
        tmp_path / "large.csv"
    )
    (tmp_path / "one.csv").write_text("sequence,x,y\na,1,0\nb,2,1\nc,1,0\n")

    done = memcap(tmp_path, "fit", *words.split())
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert BAD[words] in done.err


def test_check_says_what_a_file_holds_and_no_name_in_it_steers_the_terminal(tmp_path):
    mine = table(lambda shown: shown[:, 0] == 0).rename({"seen": "\x1b[31mseen"})
    mine.write_parquet(tmp_path / "mine.parquet")
    done = memcap(
        tmp_path, "fit", "mine.parquet", "--target", "y", "--sequence", "id", "--check"
    )
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[:5] == [
        "mine.parquet: 300 sequences of 6 steps.",
        r"Inputs: \x1b[31mseen, one of 3 names a step.",
        "Target: y, one of 2 classes at the end of a sequence: false 66.7%, true 33.3%.",
        "What the net sees, before numbers are scaled:",
        r"id  \x1b[31mseen   y",
    ]
    assert [line.split()[-1] for line in lines[10:12]] == ["no", "a"]
    assert len(lines) == 15


def test_check_says_what_arrays_hold(tmp_path):
    inputs = np.arange(60).reshape(10, 6) % 3
    np.savez(tmp_path / "mine.npz", inputs=inputs, targets=np.arange(10) % 2)
    done = memcap(tmp_path, "fit", "mine.npz", "--check")
    assert done.out == (
        "mine.npz: 10 sequences of 6 steps.\n"
        "Inputs: one of 3 symbols a step. Target: one of 2 classes.\n"
    )
    assert "10 sequences: nets will differ mostly by chance" in done.err
    assert not (tmp_path / "outputs").exists()


def test_a_search_without_an_answer_leaves_no_older_net(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "BUDGET", 20)
    rng = np.random.default_rng(1)
    drawn = table(lambda shown: rng.integers(0, 2, len(shown)), 40)
    drawn.write_csv(tmp_path / "drawn.csv")
    older = tmp_path / "outputs" / "drawn"
    older.mkdir(parents=True)
    for name in ("net.npz", "net.json"):
        (older / name).write_bytes(b"")
    words = "--target y --sequence id --most 1 --folds 1 --seeds 1 --workers 1"

    done = memcap(tmp_path, "fit", "drawn.csv", *words.split())
    assert "New sequences" not in done.out
    assert (older / "rows").is_dir()
    assert not list(older.glob("net.*"))


@pytest.mark.slow
def test_a_table_is_answered_drawn_and_written_as_a_script(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "RACE", (("hold", 0.03),))
    monkeypatch.setattr(own_data, "BUDGET", 600)
    table(lambda shown: shown[:, 0] == 0).write_csv(tmp_path / "mine.csv")
    words = "fit mine.csv --target y --sequence id --most 2 --folds 2 --workers 1"
    done = memcap(tmp_path, *words.split())
    assert "\n1 unit: held-out loss 0.0" in done.out
    assert (tmp_path / "outputs" / "mine" / "figures" / "held_out.csv").exists()
    assert "\nNew sequences: memcap predict outputs/mine new.csv\n" in done.out
    said = memcap(tmp_path, "predict", "outputs/mine", "mine.csv").out.splitlines()
    assert said[0] == "id,y,p(false),p(true)"
    assert len(said) == 301
    script = memcap(tmp_path, *words.split(), "--code", "keras").out
    assert "outputs/mine/sequences-" in script
    compile(script, "mine.py", "exec")
    frontier = memcap(tmp_path, "frontier", "outputs/mine")
    assert frontier.out.startswith(
        "Loss on sequences not trained on, by width: outputs/mine/"
    )

    answered = memcap(tmp_path, "answer", "--task", "data", "outputs/mine")
    code = memcap(
        tmp_path, "answer", "--task", "data", "outputs/mine", "--code", "keras"
    )
    assert code.status == 2
    assert "--code: memcap fit FILE --code writes that of your seq" in code.err
    assert answered.out.startswith("1 unit: held-out loss 0.0")
