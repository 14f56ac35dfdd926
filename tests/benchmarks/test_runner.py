"""The runner: it finds the benchmarks, and says what is amiss before they start."""

import importlib

import pytest

from benchmarks import report, runner


def test_benchmarks_are_found_by_name_with_a_line_each():
    found = runner.commands()
    timed = {"step", "cells", "matrix", "padding", "study", "frontier", "cost", "accelerator"}
    assert set(found) == {*timed, "designs"}
    for name, line in found.items():
        about = importlib.import_module(f"benchmarks.{name}").__doc__
        assert " ".join(about.partition("\n\n")[0].split()) == line
        assert line


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        runner.main(["jump"])
    assert "step" in capsys.readouterr().err


@pytest.mark.parametrize("load", [None, 0.0, 0.2])
def test_a_quiet_machine_is_not_warned_of(load):
    assert report.load_warning(load) is None


def test_other_work_is_warned_of():
    assert "1.50" in (report.load_warning(1.5) or "")
