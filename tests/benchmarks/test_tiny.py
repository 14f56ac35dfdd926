"""Each benchmark runs as small as it can, by its command with real processes, and
writes page and data."""

import json
from dataclasses import replace
from itertools import product

import pytest

from benchmarks import runner
from benchmarks.peers import CONTESTANTS, MATRIX, OURS, installed

MISSING = ("a_library_that_nobody_has",)


@pytest.fixture
def linen_alone(monkeypatch):
    """memcap and linen, whose libraries memcap itself needs; nobody has the others'."""
    for table in (CONTESTANTS, MATRIX):
        for name in set(table) - {*OURS, "linen", "scan"}:
            monkeypatch.setitem(table, name, replace(table[name], packages=MISSING))


def tiny(words, tmp_path, capsys):
    """The data that `--tiny` writes, with the page that it prints."""
    runner.main([*words, "--tiny", "--out", str(tmp_path)])
    (page,), (data,) = tmp_path.glob("*.md"), tmp_path.glob("*.json")
    assert page.read_text().strip() in capsys.readouterr().out
    return json.loads(data.read_text()), page.read_text()


def cases(rows, *names):
    return {tuple(row[name] for name in names) for row in rows}


@pytest.mark.slow
def test_step_times_those_that_are_installed(linen_alone, tmp_path, capsys):
    found, page = tiny(["step"], tmp_path, capsys)
    assert f"not installed: Keras 3 on JAX, fit ({MISSING[0]})" in page
    wanted = product(("last", "every"), ("linen", *installed(OURS)))
    assert cases(found["rows"], "workload", "contestant") == set(wanted)
    for row in found["rows"]:
        assert min(row["timing"]["samples"]) > 0
        assert row["gradient_error"] < 5e-6
    assert 0 < found["ceilings"]["tanh"] < 1e-6


@pytest.mark.slow
@pytest.mark.skipif(bool(CONTESTANTS["native"].missing), reason="no C compiler")
def test_cells_times_both_loops_and_a_wider_program(tmp_path, capsys):
    found, page = tiny(["cells"], tmp_path, capsys)
    assert "| GRUCell | 2 | 1 |" in page
    wanted = product(("lstm", "GRUCell"), ("while", "native", "native, padded"))
    assert cases(found["steps"], "cell", "loop") == set(wanted)


@pytest.mark.slow
@pytest.mark.skipif(bool(CONTESTANTS["native"].missing), reason="no C compiler")
def test_optimizers_times_ggt_beside_adam(tmp_path, capsys):
    found, page = tiny(["optimizers"], tmp_path, capsys)
    assert "| 20 | 8 |" in page
    for row in found["rows"]:
        assert all(min(sample.values()) > 0 for sample in row["samples"])


@pytest.mark.slow
def test_cells_whose_state_is_a_matrix_are_timed_beside_plain_jax(
    linen_alone, tmp_path, capsys
):
    found, page = tiny(["cells", "--matrix"], tmp_path, capsys)
    assert "| mamba2 | 2 | 1 |" in page
    assert cases(found["rows"], "contestant") == {("memcap",), ("scan",)}


@pytest.mark.slow
def test_study_takes_every_state_of_the_caches(linen_alone, tmp_path, capsys):
    found, _ = tiny(["study"], tmp_path, capsys)
    ours = ["memcap"] + ["memcap-native"] * ("native" in installed(OURS))
    wanted = {*product(ours, ("cold", "warm"))}
    wanted |= {*product(["linen"], ("cold", "filling", "warm"))}
    assert cases(found["samples"], "contestant", "state") == wanted
    for sample in found["samples"]:
        assert sample["wall"] > sum(sample["phases"].values()) > 0


@pytest.mark.slow
def test_frontier_samples_peers_and_trains_memcap(linen_alone, tmp_path, capsys):
    found, page = tiny(["frontier"], tmp_path, capsys)
    assert cases(found["cells"], "contestant") == {("linen",), ("memcap",)}
    assert found["studies"]["sample"]["members"] == 2 * 2 * 2  # tasks, widths, seeds
    if "native" in installed(OURS):
        assert found["studies"]["native full"]["members"] == 2 * 3 * 2
        assert "| memcap, engine.loop=native |" in page


@pytest.mark.slow
def test_cost_goes_along_each_axis_and_has_two_workers(tmp_path, capsys):
    found, page = tiny(["cost"], tmp_path, capsys)
    assert set(found["axes"]) == {"members", "lag", "units", "batch"}
    assert all(cost["planned"] > 0 for axis in found["axes"].values() for cost in axis)
    assert "Two workers are" in page


@pytest.mark.slow
def test_accelerator_times_lanes(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    found, _ = tiny(["accelerator"], tmp_path, capsys)
    assert found["device"]["platform"] == "cpu"
    chunks = {point["members"]: len(chunks) for point, chunks in found["timed"]}
    assert chunks == {1: 2, 3: 2}


def test_without_an_accelerator_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(SystemExit, match="no accelerator"):
        runner.main(["accelerator", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
