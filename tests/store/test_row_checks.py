"""Rows that were made elsewhere: configs and results that no member has are named, and
nothing is computed from them."""

import itertools
import math
import re

import polars as pl
import pytest
from command import memcap
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, small_job
from study_rows import group, row_of, sealed, table, write

from memcap import api, store
from memcap.designs.axes import members
from memcap.knobs import UserError
from memcap.store import files, row_checks, shards
from memcap.store.columns import DERIVED
from memcap.store.row_checks import BadRowsError, check_rows
from memcap.store.rows import SCHEMA, complete
from memcap.store.shards import Study
from memcap.studies.run import run_study

pytestmark = pytest.mark.usefixtures("quick_file")

WRONG = {  # values that no training gives
    "solved": [True, None],
    "status": ["done", None],
    "steady": [True],
    "up_to": [True],
    "anywhere": [True],
    "steps": [-1, 10**6],
    "steps_to_solve": [5],
    "steps_to_steady": [5],
    "steps_to_up_to": [5],
    "steps_to_anywhere": [5],
    "best": [math.nan, 1.5],
    "final": [1.5],
    "stretched": [math.inf],
    "mean_up_to": [1.5],
    "worst_up_to": [1.5],
    "worst_lag": [0],
    "exact_lags": [1],
    "train_loss": [math.inf],
    "metric": ["loss"],
    "score_at_lengths": ["[0.5]"],
    "whole_at_lengths": ["[0.5]"],
    "carry_numbers": [None],
    "parameters": [0],
    "compile_seconds": [math.nan],
    "run_seconds": [-1.0],
    "finished": [None],
    "reason": ["two workers ended"],
    "population": [None, "../../x"],
    "study": [None],
}


@pytest.mark.parametrize(
    ("column", "value"),
    [(column, value) for column, values in WRONG.items() for value in values],
)
def test_a_wrong_column_is_named_with_its_row(tmp_path, column, value):
    """By the gates; a reader does not look."""
    sound = table(group(counts={1: (0, 1)}))
    wrong = sound.with_columns(pl.lit(value, SCHEMA[column]).alias(column))
    (tmp_path / "rows").mkdir()
    wrong.write_parquet(tmp_path / "rows" / "copy.parquet")
    (key,) = sound["key"]
    done = memcap(tmp_path, "collect", "--strict", ".")
    assert done.err.startswith(f"memcap: .: row {key}: {column}=")
    assert " does not go with" in done.err
    (line, _) = memcap(tmp_path, "verify", "--rows-only", ".").out.splitlines()
    assert line.startswith(f"rows/copy.parquet: row {key}: {column}=")


def test_what_a_table_says_beside_its_configs_counts_for_nothing(tmp_path):
    """Nor does it matter that it says nothing: all that follows from the configs does
    so where it is read."""
    sound = table(group(counts={1: (1, 2)}))
    path = tmp_path / "copy.parquet"
    other = {pl.String: pl.lit("x"), pl.Int64: pl.lit(7), pl.Float64: pl.lit(math.nan)}
    other[pl.Boolean] = pl.lit(value=True)
    derived = [*DERIVED, "seed"]
    wrong = sound.with_columns(other[SCHEMA[name]].alias(name) for name in derived)
    for changed in (sound, wrong, sound.drop(derived)):
        files.write_table(path, changed)
        assert_frame_equal(
            store.read(path), store.readable(sound), check_row_order=False
        )


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("units", -5, "row KEY: units=-5, where its config has 1"),
        ("lag", 2**62, f"row KEY: lag={2**62}, where its config has 5"),
        ("cell", "evil:Cls", "row KEY: cell=evil:Cls, where its config has lstm"),
        ("orthogonal", "x", "not a readable table of rows"),
    ],
)
def test_verify_names_a_column_that_contradicts_its_config(
    tmp_path, column, value, says
):
    """memcap never reads it, but others may."""
    sound = table(group(counts={1: (0, 1)}))
    (tmp_path / "rows").mkdir()
    wrong = sound.with_columns(pl.lit(value).alias(column))
    files.write_table(tmp_path / "rows" / "copy.parquet", wrong)
    done = memcap(tmp_path, "verify", "--rows-only", ".")
    line, _ = done.out.splitlines()
    said = says.replace("KEY", sound["key"][0])
    assert (done.status, line) == (1, f"rows/copy.parquet: {said}")


@pytest.mark.parametrize("column", [*DERIVED, "seed"])
def test_a_table_in_hand_that_says_other_than_its_configs_is_refused(column):
    """Who changed it meant something by it."""
    rows = table(group(counts={1: (0, 1)}))
    value = rows[column][0]
    other = (
        f"{value}x"
        if SCHEMA[column] == pl.String
        else 1
        if value is None
        else value + 1
    )
    with pytest.raises(UserError, match=f"{column}=.*, where its config has "):
        api.frontier(rows.with_columns(pl.lit(other, SCHEMA[column]).alias(column)))


SEALED = [  # what a config says, and its row beside it, that its member does not
    ({"threshold": 0.5}, "threshold=0.5, and its member has 0.99"),
    ({"length": 3}, "task.length=3: a latch of lag 5 needs at least"),
    ({"metric": "mse", "best": None, "final": None}, "metric=mse, and its member has"),
    ({"parameters": 41}, "parameters=41, and its member has 40"),
    ({"carry_numbers": 9}, "carry_numbers=9, and its member has 2"),
]


@pytest.mark.parametrize(("change", "says"), SEALED)
def test_a_row_that_contradicts_its_member_is_named(change, says):
    (row,) = group(counts={1: (0, 1)})
    check_rows(table([row]))
    with pytest.raises(BadRowsError, match=re.escape(says)):
        check_rows(complete(table([sealed(row | change)])))


def test_two_verdicts_of_one_training_are_named():
    one, other = group(counts={1: (1, 2)})
    twice = table([one, other | {name: one[name] for name in ("key", "config")}])
    with pytest.raises(BadRowsError, match="two verdicts"):
        check_rows(complete(twice))


def test_a_solved_row_must_have_passed():
    (row,) = group(counts={1: (1, 1)})
    for change in (
        {"best": 0.5},
        {"best": None},
        {"solved": False},
        {"steps_to_solve": None},
    ):
        with pytest.raises(BadRowsError):
            check_rows(table([row | change]))
    (row,) = group("adding", counts={1: (1, 1)})  # an error, not an accuracy
    check_rows(table([row]))
    with pytest.raises(BadRowsError, match=r"best=0\.5"):
        check_rows(table([row | {"best": 0.5}]))


LENGTHS = {
    "lengths": "7 9",
    "score_at_lengths": "[1.0, 0.25]",
    "whole_at_lengths": "[1e-05, null]",
}


def test_scores_over_lengths_are_one_a_length():
    (row,) = group(counts={1: (0, 1)}, **LENGTHS)
    check_rows(table([row]))
    wrong = ["[1.0]", "[1.0, 2.0]", "[1.0, -0.5]", "[1.0, NaN]", "1.0, 0.5", None]
    for column, text in itertools.product(LENGTHS.keys() - {"lengths"}, wrong):
        with pytest.raises(BadRowsError, match=f"{column}=.* does not go with"):
            check_rows(table([row | {column: text}]))
    (row,) = group(
        "adding", counts={1: (0, 1)}, **LENGTHS | {"score_at_lengths": "[0.5, 2.5]"}
    )
    check_rows(table([row]))  # an error, not an accuracy


ODD = [  # columns of a row, from which its config is made, and what is said of them
    *(
        (change, "must be at least 1 and at most")
        for change in (
            {"lag": 0},
            {"lag": -3, "length": 2},
            {"units": 0},
            {"units": 10**9},
            {"batch": 0},
            {"layers": 9},
        )
    ),
    *(
        ({column: None}, f"{column}=null: must have a value")
        for column in ("cell", "recipe", "schedule", "lr")
    ),
    ({"seed": -1}, "seed=-1"),
]


@pytest.mark.parametrize(("change", "says"), ODD)
def test_a_config_out_of_range_is_refused_though_its_row_says_the_same(change, says):
    with pytest.raises(BadRowsError, match=says):
        check_rows(complete(table([sealed(row_of() | change)])))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((".*", text) for text in ("3", "{}", "", '{"task": 3}')),
        ('"made_up"', '"seed"'),
        *(('"lag": 5', f'"lag": {value}') for value in ("2.5", '"5"', "[5]", "true")),
        # the first two equal the row's own, which was read before
        *(('"units": 1', f'"units": {value}') for value in ("1.0", "true", 10**20)),
        ('"threshold": [^,}]+', f'"threshold": {10**400}'),
    ],
)
def test_a_config_of_no_member_is_refused(old, new):
    row = row_of(units=1)
    check_rows(complete(table([row])))
    text = re.sub(old, new, row["config"], count=1)
    assert text != row["config"]
    changed = row | {"config": text, "key": row_checks.key_of(text)}
    with pytest.raises(BadRowsError, match="its config is not a member's"):
        check_rows(complete(table([changed])))


def test_rows_of_a_job_pass(tmp_path):
    """One that starts as a recipe says, and one as Flax does."""
    axes = [{}, {"model.cell": "GRUCell", "recipe.init": "flax"}]
    rows = run_study(
        members(small_job(axes)), ONE_LANE, Study(tmp_path, "small"), quiet=True
    )
    assert rows.height == 2
    check_rows(rows)
    assert shards.read(tmp_path).equals(rows)


def test_one_bad_row_among_many_is_found_and_verify_names_all(tmp_path):
    rows = table(group(counts=dict.fromkeys(range(1, 9), (2, 4))))
    bad = pl.col("seed") == 3

    (tmp_path / "copy" / "rows").mkdir(parents=True)
    path = tmp_path / "copy" / "rows" / "x.parquet"
    rows.with_columns(
        pl.when(bad).then(-1).otherwise("steps").alias("steps")
    ).write_parquet(path)
    says = "steps=-1 does not go with"
    done = memcap(tmp_path, "collect", "--strict", "copy")
    assert (done.err.count(says), "; and 5 rows more" in done.err) == (3, True)
    assert (done.status, (tmp_path / "copy" / "rows.parquet").exists()) == (2, False)
    done = memcap(tmp_path, "verify", "copy", "--rows-only")
    assert done.status == 1
    for key in rows.filter(bad)["key"]:
        assert done.out.count(f"copy/rows/x.parquet: row {key}: {says}") == 1
    assert done.out.splitlines()[-1].endswith("8 problems")


@pytest.mark.parametrize("name", ['x"""; import os; """', "a\nb", "\x1b[2J", "a\\"])
def test_a_recipe_is_a_name_that_may_stand_in_a_script(name):
    with pytest.raises(BadRowsError, match="recipe="):
        check_rows(table(group("latch", 5, recipe=name)))
    check_rows(table(group("latch", 5, recipe="my recipe-2.b")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_text_of_a_collected_table_is_a_formula(tmp_path, text):
    """As a spreadsheet would take it for one."""
    write(tmp_path, group(counts={1: (0, 1)}, device=text))
    assert memcap(tmp_path, "collect", ".", "--csv").status == 0
    assert pl.read_csv(tmp_path / "rows.csv")["device"].to_list() == [f"'{text}"]
