"""What every figure gets: it is found by name, saved whole, and chooses no backend;
also one that lives outside the package."""

import re
import sys
from itertools import pairwise

import polars as pl
import pytest
from breadth import leave
from command import files, memcap, python
from matplotlib.figure import Figure
from study_checks import refusal
from study_rows import group, table, write

from memcap import figures
from memcap.figures.style import log2_axes
from memcap.knobs import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a study in outputs/x. Python forgets at the end to look in it, but
    no module."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "outputs" / "x", group(counts={1: (1, 4), 2: (4, 4)}))
    return tmp_path


@pytest.mark.parametrize(
    "name", leave(figures.summaries(), but=("frontier", "cells", "lags").__contains__)
)
def test_every_figure_of_the_package_draws_and_can_be_saved(name, tmp_path):
    tried = [
        group("delay_line", lag, budget=budget)
        for lag in (2, 4)
        for budget in (1000, 4000)
    ]
    outcome = {"validation_loss": 0.4, "held_out_loss": 0.5, "final": 0.9}
    by_loss = group(
        "data", 11, {1: (0, 2), 2: (0, 2)}, knobs={"criterion": "best"}, **outcome
    )
    knobs = {"pairs": 4, "symbols": 8}
    by_map = {"budget": 3000, "curriculum": 0.15, "lr": 0.02, "knobs": knobs}
    recall = [
        group("mqar", 8, {16: (1, 4), 32: (4, 4)}, cell=cell, **by_map)
        for cell in ("lstm", "lstm+bits4")
    ]
    of_map = name in ("cell_map_steps", "cell_map_bits", "recall_pairs")
    rows = table(*recall) if of_map else table(*tried, by_loss)
    drawn = figures.find(name).draw(rows)
    assert figures.save(drawn, tmp_path, name) == tmp_path / f"{name}.png"
    assert figures.summaries()[name]


@pytest.mark.parametrize("name", figures.summaries())
def test_no_rows_are_one_line(name):
    text = refusal(lambda: figures.find(name).draw(table()))
    assert re.search("nothing to|1 to 60 lines|compared on one", text)


@pytest.mark.parametrize(
    ("gives", "expected"),
    [
        ("1", "wrong: draw gave int; it must give memcap.figures.Drawn(figure, data)"),
        (
            "figures.Drawn(Figure(), rows.head(0))",
            "wrong: nothing to draw in these rows",
        ),
    ],
)
def test_a_figure_that_gives_no_drawing_is_refused(folder, gives, expected):
    head = (
        "from matplotlib.figure import Figure\nfrom memcap import figures\nclass wrong:\n    def"
        " draw(rows):\n"
    )
    module = f"wrong_figure_{len(gives)}"
    (folder / f"{module}.py").write_text(f"{head}        return {gives}\n")
    before = files(folder / "outputs")
    done = memcap(folder, "figure", f"{module}:wrong", "outputs/x")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert expected in done.err
    assert files(folder / "outputs") == before


def test_the_files_appear_together_or_not_at_all(tmp_path):
    class Broken(Figure):
        def savefig(self, fname, **options):
            super().savefig(fname, **options)
            if options["format"] == "png":
                raise OSError(28, "No space left on device")

    data = pl.DataFrame({"a": [1]})
    figures.save(figures.Drawn(Figure(), data), tmp_path, "one")
    before = files(tmp_path)
    with pytest.raises(UserError, match="No space left on device"):
        figures.save(figures.Drawn(Broken(), data), tmp_path, "one")
    assert files(tmp_path) == before


def test_importing_drawing_and_saving_choose_no_backend(tmp_path, monkeypatch):
    """A notebook's own backend must stay."""
    write(tmp_path, group("delay_line", 2), group("delay_line", 4))
    script = (
        "import sys, matplotlib; from pathlib import Path; from memcap import figures,"
        " store\nfrom memcap.figures import frontier\ndef untouched(): return"
        " matplotlib.get_backend(auto_select=False) is None and 'matplotlib.pyplot' not in"
        " sys.modules\nassert untouched()\nfigures.save(frontier.draw(store.read(Path())),"
        " Path('drawn'), 'frontier')\nassert untouched()"
    )
    monkeypatch.delenv("MPLBACKEND", raising=False)
    done = python(tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "drawn" / "frontier.png").is_file()


def test_numbers_of_lags_have_room():
    """Those of the atlas all; of each lag to 50, and beside longer ones, as many as do
    not overlap."""
    atlas = [1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50]
    for lags in (atlas, range(1, 51), [*range(1, 51), 100, 200]):
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.add_subplot()
        log2_axes(axes, lags, 64, 1, 30)
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
        ticks = axes.get_xticks()
        assert {lags[0], 50, lags[-1]} <= {*ticks}
        assert len(ticks) == 12 if lags is atlas else len(ticks) > 12


def test_a_matplotlibrc_of_the_current_folder_and_a_dollar_in_a_name_change_nothing(
    tmp_path,
):
    write(tmp_path, group("delay_line", 2, recipe="$x^{$"))
    done = memcap(tmp_path, "figure", "frontier", ".", "-o", "plain")
    assert done.status == 0, done.err
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\n")
    script = (
        "from memcap import cli; cli.main(['figure', 'frontier', '.', '-o', 'odd'])"
    )
    assert python(tmp_path, "-c", script).returncode == 0
    pictures = [tmp_path / place / "frontier.png" for place in ("plain", "odd")]
    assert len({path.read_bytes() for path in pictures}) == 1
