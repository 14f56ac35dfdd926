"""The net that `memcap fit` leaves: it answers as the engine's does, whatever it is
batched with, and takes new tables."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from command import memcap as command

import memcap
from memcap.config.member import Engine
from memcap.config.recipes import Recipe
from memcap.knobs import UserError
from memcap.own.fitted import best_net, load
from memcap.own.search import WidthSearch
from memcap.own.table import Columns, array_form, long_form
from memcap.own.task import own_task

pytestmark = pytest.mark.usefixtures("quick_file")
ROWS = {
    "machine": ["a"] * 3 + ["b"] * 2 + ["c"] * 4,
    "load": [1.0, 2, 3, 5, 8, 2, 1, 2, 9],
    "weather": ["sun", "fog", "sun", "fog", "fog", "sun", "sun", "fog", "sun"],
    "fault": ["no"] * 3 + ["yes"] * 2 + ["no"] * 4,
}
COLUMNS = Columns("fault", sequence="machine", features=("load", "weather"))


def net_of(form, folder):
    """A net of two units that has hardly been trained, and the engine's own."""
    task = own_task(form.save(folder / "a.npz"))
    search = WidthSearch(task, folder, 2, 1, 1, Engine(workers=1), quiet=True)
    recipe = Recipe("hold", lr=0.03, budget=20, schedule="cosine")
    rows = search.final(2, recipe)
    return best_net(rows, folder / "net", form), memcap.load(
        folder / "net", rows["key"][0]
    )


def table(count=12):
    """Sequences of unlike lengths."""
    frames = [
        pl.DataFrame(ROWS).with_columns(pl.col("machine") + f"{k}")
        for k in range(count // 3)
    ]
    return pl.concat(frames)


@pytest.mark.parametrize("kind", ["values", "symbols"])
def test_it_answers_in_the_users_units_as_the_engines_net_does(kind, tmp_path):
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 3, rng.integers(2, 6)) for _ in range(20)]
    targets = np.arange(20) % 2
    if kind == "values":
        inputs = [rng.normal(1e4, 50, (len(sequence), 2)) for sequence in inputs]
        targets = rng.normal(500, 9, 20)
    net, trained = net_of(array_form(inputs, targets), tmp_path)
    file = trained.member.task.file_content
    theirs = trained.run(np.moveaxis(file.inputs, 0, 1))[0]
    last = theirs[[len(sequence) - 1 for sequence in inputs], np.arange(20)]
    mean, spread = file.target_scale
    ours = np.array(net.outputs(inputs))
    np.testing.assert_allclose((ours - mean) / spread, last, atol=2e-5)

    alone = [net.outputs([sequence])[0] for sequence in inputs]
    np.testing.assert_allclose(alone, ours, rtol=1e-12)
    bad = [inputs[0][:0], inputs[0][None]]
    if kind == "symbols":
        bad.append(inputs[0] + 3)
    for each in bad:
        with pytest.raises(UserError, match=r"does not fit: the net takes steps of"):
            net.outputs([each])


def test_a_new_table_is_predicted_with_or_without_its_target(tmp_path):
    form = long_form(table(), COLUMNS)
    net, _ = net_of(form, tmp_path)
    net.save(tmp_path)
    kept = load(tmp_path)
    assert dataclasses.asdict(kept).keys() == dataclasses.asdict(net).keys()
    new = pl.DataFrame(ROWS).with_row_index("step").drop("fault")
    new.reverse().write_csv(tmp_path / "new.csv")
    done = command(tmp_path, "predict", ".", "new.csv", "-o", "said.csv")
    assert (done.out, done.err) == ("", "")
    said = pl.read_csv(tmp_path / "said.csv")
    assert said.columns == ["machine", "fault", "p(no)", "p(yes)"]
    assert said["machine"].to_list() == ["a", "b", "c"]
    sums = said.select(pl.sum_horizontal("p(no)", "p(yes)")).to_series()
    np.testing.assert_allclose(sums, 1)
    given = [[[1, 0, 1], [2, 1, 0], [3, 0, 1]], [[5, 1, 0], [8, 1, 0]]]
    odds = np.diff(net.outputs([np.array(each) for each in given])).ravel()
    shares = said["p(yes)"].to_numpy()[:2]
    np.testing.assert_allclose(np.log(shares / (1 - shares)), odds)


BAD = {
    "none new.csv": "none: memcap fit left no net there: no width was enough, or it has not",
    "gone new.csv": "gone: has no net.npz and net.json; name a folder of memcap fit",
    "arrays new.csv": "arrays: was trained on arrays or windows",
    ". new.npz": "new.npz: must be a .csv",
    ". other.csv": "other.csv: has no column `weather` (--features)",
    ". hail.csv": "hail.csv: `weather` holds 'hail'; it may be fog, sun",
    ". gap.csv": "gap.csv: `load` is missing in some lines; fill them in",
    ". none.csv": "none.csv: `weather` holds '(missing)'; it may be fog, sun",
}


def test_what_does_not_fit_is_one_line(tmp_path):
    net, _ = net_of(long_form(table(), COLUMNS), tmp_path)
    net.save(tmp_path)
    (tmp_path / "arrays").mkdir()
    (tmp_path / "none" / "rows").mkdir(parents=True)
    dataclasses.replace(net, columns=None).save(tmp_path / "arrays")
    good = pl.DataFrame(ROWS).with_row_index("step")
    good.write_csv(tmp_path / "new.csv")
    good.drop("weather").write_csv(tmp_path / "other.csv")
    good.with_columns(weather=pl.lit("hail")).write_csv(tmp_path / "hail.csv")
    no_fives = good.with_columns(load=pl.col("load").replace(5, None))
    no_fives.write_csv(tmp_path / "gap.csv")
    no_sun = good.with_columns(weather=pl.col("weather").replace("sun", None))
    no_sun.write_csv(tmp_path / "none.csv")
    for words, said in BAD.items():
        done = command(tmp_path, "predict", *words.split())
        assert done.status == 2
        assert done.err.count("\n") == 1
        assert said in done.err
