"""Members judged by their held-out loss: they end where validation's falls no more, and
its weights count."""

from functools import partial

import numpy as np
import pytest
from study_checks import refusal

import memcap
from memcap.store import curves
from memcap.training.train_loop import Lane


def file_of(tmp_path, targets, count=300):
    # a name of its own: files are read once
    file = tmp_path / f"{targets.__name__}.npz"
    inputs = np.random.default_rng(0).integers(0, 8, (count, 4))
    np.savez(file, inputs=inputs, targets=targets(inputs, np.random.default_rng(1)))
    return str(file)


def member_of(file, **axes):
    usual = {"recipe": "hold", "lag": 3, "units": 4, "budget": 1500, "every": 20}
    return memcap.members("data", file=file, criterion="best", **usual | axes)


def first(inputs, rng):
    return inputs[:, 0] % 2


def drawn(inputs, rng):
    return rng.integers(0, 2, len(inputs))


def test_its_lane_goes_on_as_if_nobody_had_stopped_it(tmp_path):
    (member,) = member_of(file_of(tmp_path, first))
    rule = member.rule(validation_loss=0.5, lowest_step=40)
    lane = Lane(member, rule, 60, lowest=np.arange(3, dtype=np.float32))
    again = Lane.from_dict(member, lane.to_dict())
    assert repr(again.rule) == repr(lane.rule)  # NaN is not NaN
    assert again.to_dict() == lane.to_dict()


@pytest.mark.breadth
def test_curves_have_the_validation_loss_of_each_evaluation(tmp_path):
    members = member_of(file_of(tmp_path, drawn), budget=80)
    (row,) = memcap.train(members, tmp_path / "study", progress=False).to_dicts()
    points = curves.points(curves.read(tmp_path / "study"), "accuracy")
    evaluated = {s: p["eval/loss"] for s, p in points.items() if "eval/loss" in p}
    assert list(evaluated) == [20, 40, 60, 80]
    assert all("eval/accuracy" in points[step] for step in evaluated)
    assert min(evaluated.values()) == row["validation_loss"]


@pytest.mark.slow
def test_what_a_file_teaches_is_learnt_and_labels_that_mean_nothing_end_soon(tmp_path):
    members = member_of(file_of(tmp_path, first))
    members += member_of(file_of(tmp_path, drawn), seed=[1])
    taught, by_heart = memcap.train(members, progress=False).to_dicts()
    assert taught["held_out_loss"] < 0.1
    assert taught["final"] == 1
    assert by_heart["steps"] < 1500
    assert by_heart["train_loss"] < by_heart["validation_loss"]
    assert by_heart["held_out_loss"] == pytest.approx(np.log(2), abs=0.1)


def test_what_waits_for_a_score_is_refused(tmp_path):
    file = file_of(tmp_path, first)
    said = refusal(lambda: member_of(file, until="steady"))
    assert "evaluation.until=steady: waits for a score" in said
    said = refusal(lambda: member_of(file, recipe="curriculum"))
    assert "its curriculum waits for a score" in said
    searched = member_of(file, units=[1, 2, 4], seed=4)
    for design in ("bisect", "adaptive", "race"):
        train = partial(memcap.train, searched, design=design, progress=False)
        assert refusal(train).startswith(
            f"design={design}: searches by the nets that pass"
        )
