"""`memcap prove`: nets of the atlas, and LSTMs of other libraries in an .npz file."""

import re
import zipfile

import numpy as np
import pytest
from command import SMALL, memcap

pytestmark = pytest.mark.usefixtures("quick_file")


def proofs(folder, *words):
    """The lines that it prints, without the names of nets and the seconds."""
    done = memcap(folder, "prove", *words)
    assert done.status == 0, done.err
    _, head, *lines = done.out.splitlines()
    assert head.split()[1:6] == ["task", "units", "steps", "before", "seconds"]
    return [re.sub(r"^\S+| \d*\.\d+  ", "", line).split() for line in lines]


def test_it_prints_a_verdict_without_and_with_filler_and_a_wrong_sequence(tmp_path):
    first, anywhere = proofs(tmp_path, "atlas:latch-L5")
    assert first[:5] == ["latch", "1", "7", "proved", "2728"]
    assert anywhere[2:5] == ["7", "distractors", "proved"]
    *_, wrong = proofs(tmp_path, "atlas:copy-items=8-L50")
    assert wrong[:3] == ["is", "wrong", "on"]


@pytest.mark.parametrize("layout", ["keras", "torch", "flax"])
def test_arrays_of_other_libraries_are_the_same_net(tmp_path, layout):
    memcap(tmp_path, "export", "atlas:latch-L5", "--layout", layout, "-o", "net.npz")
    rows = proofs(tmp_path, "net.npz", "--task", "latch", "--lag", "5")
    assert rows == proofs(tmp_path, "atlas:latch-L5")


def test_a_star_stands_for_several_nets(tmp_path):
    rows = proofs(tmp_path, "atlas:count-scale=null-L*")
    verdicts = [row[3] for row in rows if row[3] in ("proved", "counterexample")]
    assert len(verdicts) == 10


def test_a_star_alone_stands_for_all_nets_of_a_study(tmp_path):
    memcap(tmp_path, "train", *SMALL, "axes={model.units: [1, 3]}", "study=two")
    rows = proofs(tmp_path, "*", "outputs/two")
    assert {row[1] for row in rows if row[0] == "latch"} == {"1", "3"}


def test_arrays_too_large_for_a_net_are_refused_before_they_are_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "net.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("kernel.npy", "w") as part,
    ):
        head = {"descr": "<f4", "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(part, head)
    done = memcap(tmp_path, "prove", "net.npz")
    assert done.status == 2
    assert re.fullmatch(r"memcap: net.npz: holds more than \d+ MiB of .*\n", done.err)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ([np.zeros(3)], "1 arrays: an LSTM of one layer with a dense read-out has 5"),
        ([*map(np.zeros, ((2, 4), (1, 4), 4, (1, 2), 2))], "cell/bias is float64[4]"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "net.npz", *arrays)
    done = memcap(tmp_path, "prove", "net.npz")
    assert done.status == 2
    assert f"net.npz: {reason}" in done.err
