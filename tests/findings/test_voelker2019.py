"""Voelker et al. (2019): what a window holds, the widths that are enough, and the size
of the net."""

import numpy as np
import pytest
from study_rows import group, table
from task_checks import draw as draw_batch

from memcap import findings
from memcap.launch.app import compose_jobs
from memcap.tasks.bandlimited_delay import BandlimitedDelay

study = findings.load("voelker2019")


def nets(steps, units, share, rms=1.0, solved=2, **columns):
    """Two seeds, of which so many are solved, with this share of the error without memory."""
    facts = BandlimitedDelay(rms=rms).facts(steps, steps)
    final = share * facts.chance
    return group(
        "bandlimited_delay",
        steps,
        {units: (solved, 2)},
        knobs={"rms": rms},
        final=final,
        **columns,
    )


def test_a_width_is_enough_only_where_every_seed_of_it_and_of_wider_ones_solves():
    some = table(nets(25, 20, 0.1, solved=1), nets(25, 40, 0.1, solved=2))
    assert study.PAPER.findings(some)[3].ours == "40 at T = 25"
    gap = table(
        nets(25, 15, 0.1, solved=2),
        nets(25, 20, 0.1, solved=1),
        nets(25, 40, 0.1, solved=2),
    )
    assert study.PAPER.findings(gap)[3].ours == "40 at T = 25"
    never = table(nets(25, 20, 0.1, solved=2), nets(25, 40, 0.1, solved=1))
    assert study.PAPER.findings(never)[3].ours == "none tried at T = 25"


def test_nets_of_other_signals_are_none_of_the_arms():
    other = group("bandlimited_delay", 100, {100: (0, 2)}, knobs={"cycles": 5})
    assert study.shares(
        table(other, nets(100, 50, 0.5, rms=0.37), nets(100, 20, 0.5, rms=2.0))
    ).is_empty()


@pytest.mark.parametrize("steps", [25, 50, 100, 400])
def test_a_window_holds_20_numbers_whatever_its_steps(steps):
    """Slepian's eigenvalues are near 1 up to 2 c, then fall to 0 within a few."""
    left = study.leaves(steps)
    assert left[0] == 1
    np.testing.assert_allclose(left[:16], 1 - np.arange(16) / study.FREEDOM, atol=0.005)
    assert 0.01 < left[study.FREEDOM] < 0.03
    assert left[study.FREEDOM + 4] < 1e-3


def test_what_numbers_leave_is_what_a_drawn_signal_shows():
    """10 numbers of a window, in the directions in which other windows vary most,
    against the eigenvalues."""
    steps = 40
    x = draw_batch(BandlimitedDelay(), steps, 100, steps=100, batch=4096).inputs[
        -steps:, :, 0
    ]
    directions = np.linalg.eigh(np.cov(x[:, :2048]))[1][:, -10:]
    others = x[:, 2048:]
    left = 1 - ((directions.T @ others) ** 2).sum() / (others**2).sum()
    assert left == pytest.approx(study.leaves(steps)[10], abs=0.02)


def test_the_net_of_the_paper_has_its_parameters():
    """41,305, as their code prints: 4 u (1 + u + 1), and a read-out of 5 (u + 1)."""
    (job,) = (job for jobs in compose_jobs(["sweeps=voelker2019"]) for job in jobs)
    theirs = [m for m in job.members if m.recipe.init == "keras"]
    assert {m.architecture.parameters() for m in theirs} == {41_305}
    assert {(m.lag, m.length) for m in theirs} == {(25, 62), (100, 250), (400, 1000)}
    assert {(m.recipe.lr, m.recipe.batch, m.recipe.budget) for m in theirs} == {
        (0.001, 50, 1000)
    }
