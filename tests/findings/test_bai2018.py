"""Bai et al. (2018): how large the nets are."""

from memcap.launch.app import compose_jobs


def test_the_nets_of_the_study_have_10_000_parameters():
    """Of an LSTM with one bias a gate: 4 u (n + u + 1), and a read-out of 8 (u + 1)."""
    (((job,),),) = [compose_jobs(["sweeps=bai2018"])]
    sizes = {
        (m.task.features, m.model.units): m.architecture.parameters()
        for m in job.members
    }
    nets = (1, 48), (10, 44)
    assert sizes == {(n, u): 4 * u * (n + u + 1) + 8 * (u + 1) for n, u in nets}
