"""Gu & Dao (2023): what its arithmetic rests on, and what all cells of its study share."""

from itertools import product

from study_rows import group, table

from memcap import findings
from memcap.launch.app import compose_jobs

study = findings.load("gu2023")


def test_nets_that_diverged_have_recalled_nothing():
    knobs = {"items": 4, "symbols": 4}
    columns = {"cell": "selective_LRU", "carry_numbers": 16}
    lost = group("selective_copy", 16, {16: (0, 3)}, knobs=knobs, diverged=2, **columns)
    assert study.curves(table(lost)).select("accuracy", "greatest", "seeds").row(0) == (
        0.0,
        0.5,
        3,
    )


def test_all_cells_of_the_study_have_the_same_carry_numbers_and_training():
    (job,) = (job for jobs in compose_jobs(["sweeps=gu2023"]) for job in jobs)
    trained = {}
    for member in job.members:
        numbers = trained.setdefault((member.task.name, member.model.cell), set())
        numbers.add(member.architecture.carry_numbers())
    assert set(trained) == set(product(study.TASKS, study.NAMES))
    assert {frozenset(numbers) for numbers in trained.values()} == {
        frozenset({8, 16, 32, 64})
    }
    recipes = {
        (r.schedule, r.warmup, r.batch, r.clip, r.budget)
        for r in (m.recipe for m in job.members)
    }
    assert recipes == {("cosine", 0, 64, 1.0, 3000)}
