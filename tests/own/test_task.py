"""The task of own sequences: what is drawn is what the file holds, held-out ones are
never trained on, and bad files are named."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from breadth import leave
from command import memcap as command
from hypothesis import given, strategies as st
from study_checks import refusal
from study_rows import group, write
from task_checks import draw, few

import memcap
from memcap.config.member import Member, member_of
from memcap.knobs import UserError
from memcap.launch.app import compose_jobs
from memcap.own import file as own_file, task as own_task
from memcap.own.task import Data

COUNT = 40
STEPS = 6
INPUTS = np.random.default_rng(0).permutation(4**STEPS)[:COUNT, None]
INPUTS = INPUTS // 4 ** np.arange(STEPS) % 4  # sequences that are all different
GOOD = {"inputs": INPUTS, "targets": np.arange(COUNT)}  # the class is the number


@pytest.fixture
def save(tmp_path):
    """Write arrays to a file; return its task."""

    def to_file(**arrays):
        np.savez(tmp_path / "a.npz", **GOOD | arrays)
        own_file.read.cache_clear()
        own_task._scaled.cache_clear()
        return Data(file=str(tmp_path / "a.npz"))

    return to_file


def rows_of(batch, length=STEPS):
    return np.asarray(batch.inputs)[:length].T


def targets_of(draw, lag=STEPS - 1, seed=0):
    return {*draw(jax.random.key(seed), lag, lag + 1, lag + 1, 2000).targets.tolist()}


def test_what_is_drawn_stands_in_the_file_with_its_target(save):
    task = save()
    assert (task.vocabulary, task.outputs) == (5, COUNT)
    assert (task.loss, task.answers) == ("classes", "last")
    batch = draw(task, STEPS - 1, batch=64)
    np.testing.assert_array_equal(rows_of(batch), INPUTS[batch.targets])
    short = draw(task, 2)  # a shorter lag shows the end
    np.testing.assert_array_equal(rows_of(short, 3), INPUTS[short.targets][:, -3:])
    late = rows_of(draw(task, 2, 5), 5)  # a longer length begins with blanks
    np.testing.assert_array_equal(late[:, :2], 4)
    np.testing.assert_array_equal(late[:, 2:], rows_of(short, 3))


def test_shorter_sequences_begin_at_the_first_step_and_answer_at_their_end(save):
    lengths = np.random.default_rng(1).integers(1, STEPS + 1, COUNT)
    task = save(lengths=lengths)
    for lag, length in ((STEPS - 1, STEPS), (2, 3), (2, 5)):
        batch = draw(task, lag, length, batch=64)
        before = length - 1 - lag
        due = np.asarray(batch.mask)[:length].T
        targets = np.asarray(batch.targets)[:length].T
        for row, answers, asked in zip(
            rows_of(batch, length), targets, due, strict=True
        ):
            (step,) = np.flatnonzero(asked)
            k = answers[step]
            shown = INPUTS[k, : lengths[k]].tolist()[-lag - 1 :]
            after = length - before - len(shown)
            assert row.tolist() == [4] * before + shown + [4] * after
            assert step == before + len(shown) - 1
    numbers = INPUTS[..., None] + 5.0
    numbers[np.arange(STEPS) >= lengths[:, None]] = 1e6
    task = replace(save(lengths=lengths, inputs=numbers), scale=True)
    seen = task.file_content.inputs[task.file_content.counts]
    assert np.abs(seen).max() < 5
    assert not task.file_content.inputs[~task.file_content.counts].any()


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("start", "unit"), [(500, 100), (1e9, 1), (-3e6, 1e-3)])
def test_units_do_not_matter_as_training_alone_scales(save, every, start, unit):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(COUNT, STEPS, 2))
    targets = rng.normal(size=(COUNT, STEPS) if every else COUNT)
    mask = {"mask": rng.random((COUNT, STEPS)) < [0.5] * 5 + [2]} if every else {}

    def scaled(start, unit):
        arrays = {"inputs": start + unit * inputs, "targets": start + unit * targets}
        task = replace(save(**arrays, **mask), scale=True, scale_targets=True)
        return task, task.file_content

    _, plain = scaled(0, 1)
    task, other = scaled(start, unit)
    np.testing.assert_allclose(other.inputs, plain.inputs, atol=1e-3)
    np.testing.assert_allclose(other.targets, plain.targets, atol=1e-3)
    training = task.parts[0]
    answers = other.targets[training]
    due = mask["mask"][training] if every else ...
    assert answers[due].mean() == pytest.approx(0, abs=1e-3)
    assert answers[due].std() == pytest.approx(1, abs=1e-3)
    back = other.target_scale.mean + other.target_scale.spread * answers[due]
    np.testing.assert_allclose(
        back, (start + unit * targets)[training][due], atol=1e-3 * unit
    )


@pytest.mark.parametrize("size", [1, 2])
def test_by_classes_each_fold_has_its_share_and_by_time_the_past_trains(save, size):
    rare = np.arange(COUNT) % 8 == 0
    groups = np.arange(COUNT) // size
    task = replace(save(targets=1 * rare, groups=groups), criterion="best")
    for fold in range(6):
        parts = replace(task, order="classes", fold=fold).parts
        assert sorted(np.concatenate(parts)) == [*range(COUNT)]
        assert all(rare[part].any() for part in parts)
        assert not {*groups[parts[0]]} & {*groups[parts[2]]}
        training, validation, tests = replace(task, order="time", fold=fold).parts
        assert training.max() < validation.min()
        assert validation.max() < tests.min()
        assert len(tests) == len(validation) == COUNT // 10
    judged = [replace(task, order="time", fold=fold).parts[2] for fold in range(5)]
    assert np.concatenate(judged).tolist() == [*range(COUNT // 2, COUNT)]

    later = replace(task, criterion=None, order="time").parts[2]
    assert later.tolist() == [*range(COUNT - COUNT // 5, COUNT)]
    few = save(groups=np.arange(COUNT) % 4)
    few = replace(few, criterion="best", order="time", held_out=0.21)
    assert "has 4 sequences or groups, fewer than 8" in refusal(lambda: few.parts)


def test_values_at_every_step_under_a_mask(save):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(COUNT, STEPS, 2))
    mask = rng.random((COUNT, STEPS)) < 0.5
    mask[:, -1] = True
    targets = rng.normal(size=(COUNT, STEPS, 3))
    task = save(inputs=inputs, targets=targets, mask=mask)
    assert (task.vocabulary, task.features) == (None, 2)
    assert (task.outputs, task.loss, task.answers) == (3, "values", "every")
    batch = draw(task, STEPS - 1, batch=16)
    for b in range(16):
        k = int(np.abs(inputs[:, 0] - batch.inputs[0, b]).sum(1).argmin())
        drawn = batch.targets[..., :STEPS, b].T
        np.testing.assert_allclose(batch.inputs[:STEPS, b], inputs[k], rtol=1e-6)
        np.testing.assert_allclose(drawn, targets[k], rtol=1e-6)
        np.testing.assert_array_equal(batch.mask[:STEPS, b], mask[k])


@few
@given(st.integers(0, 2**31 - 1), st.integers(0, 9), st.sampled_from([0.1, 0.5, 0.9]))
def test_held_out_sequences_are_never_trained_on_and_all_are_drawn(
    tmp_path_factory, seed, fold, share
):
    path = tmp_path_factory.mktemp("data") / "a.npz"
    np.savez(path, **GOOD)
    task = Data(file=str(path), fold=fold, held_out=share)
    unseen = targets_of(task.unseen, seed=seed)
    trained = targets_of(task.sample, seed=seed)
    assert trained == {*range(COUNT)} - unseen
    assert len(unseen) == round(share * COUNT)

    assert unseen != targets_of(replace(task, fold=fold + 1).unseen, seed=seed)


def test_by_loss_each_sequence_is_held_out_in_one_fold_and_shown_once(save):
    task = replace(save(), criterion="best", held_out=0.3)
    folds = [replace(task, fold=fold).parts for fold in range(3)]
    held_out = [test.tolist() for _, _, test in folds]
    validation = [part.tolist() for _, part, _ in folds]
    assert sorted(held_out[0] + held_out[1] + held_out[2]) == list(range(COUNT))
    assert validation == held_out[1:] + held_out[:1]
    show = jax.jit(lambda block: task.part(1, block, 5, 6, 6, 4))
    seen = []
    for block in range(4):
        batch, counts = show(block)
        seen += batch.targets[counts].tolist()
    assert sorted(seen) == held_out[0]


def test_another_content_is_another_member_and_a_row_finds_its_own(save):
    (first,) = memcap.members(save(), lag=5, units=2)
    config = first.config
    key = first.key
    assert member_of(config).key == key
    (second,) = memcap.members(save(inputs=INPUTS[::-1]), lag=5, units=2)
    assert config["data"] != second.config["data"]
    assert key != second.key
    assert "data" not in memcap.members("latch", lag=5)[0].config


def test_a_criterion_that_no_memory_meets_is_refused_unless_the_lowest_loss_decides(
    save,
):
    task = save(targets=INPUTS[:, -1])
    with pytest.raises(UserError, match="a net without memory scores accuracy 1"):
        memcap.members(task, lag=5, units=2)
    best = replace(task, criterion="best")
    assert memcap.members(best, recipe="hold", lag=5, units=2)
    rare = save(inputs=np.zeros((2000, STEPS, 1)), targets=np.arange(2000) < 4)
    mend = r"set task\.criterion beyond that, or task\.criterion=best"
    with pytest.raises(UserError, match=mend):
        Member(rare, STEPS - 1)


def test_a_net_learns_what_a_file_teaches_and_is_judged_on_what_it_never_saw():
    """The example's class is shown 11 steps before the end: one step less, and a net
    can only learn by heart."""
    members = memcap.members("data", recipe="hold", lag=11, units=4)
    members += memcap.members("data", recipe="hold", lag=10, units=4, budget=300)
    rows = memcap.train(members, progress=False).sort("lag")
    assert rows["solved"].to_list() == [False, True]
    assert 0.3 < rows["final"][0] < 0.7


@pytest.mark.parametrize("every", leave([False, True]))
def test_an_evaluation_scores_each_held_out_sequence_once(save, tmp_path, every):
    """Draws with replacement would give other scores each time, and none of them the net's own."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 3, (1500, 5))
    targets = rng.integers(0, 2, (1500, 5))
    mask = rng.random((1500, 5)) < 0.5
    mask[:, -1] = True
    due = {"targets": targets, "mask": mask} if every else {"targets": targets[:, -1]}
    task = replace(save(inputs=inputs, **due), held_out=0.4)
    members = memcap.members(task, recipe="hold", lag=4, units=2, budget=20)
    (row,) = memcap.train(members, tmp_path / "rows", progress=False).to_dicts()
    places = task.parts[2]
    outputs = memcap.load(tmp_path / "rows", row["key"]).run(inputs[places].T)[0]
    right = targets[places] == outputs.argmax(-1).T
    true = right[mask[places]].mean() if every else right[:, -1].mean()
    assert row["final"] == row["stretched"] == pytest.approx(true, abs=1e-6)


NUMBERS = np.arange(COUNT)
BAD = [
    ({"weights": np.ones(3)}, "has an array `weights`, which means nothing"),
    ({"targets": NUMBERS.astype(str)}, "`targets` must hold numbers"),
    ({"targets": np.array([None] * COUNT)}, "not a readable npz file"),
    ({"inputs": INPUTS + 0.5}, "`inputs` must be (N, T) whole numbers or (N, T, F)"),
    (
        {"inputs": INPUTS[:1], "targets": NUMBERS[:1]},
        "at least 2 sequences of at least",
    ),
    ({"inputs": INPUTS * 5000}, "above 4,095"),
    ({"inputs": INPUTS[..., None] * 1e30}, "`inputs` holds numbers above 1e+18"),
    ({"targets": NUMBERS[1:]}, "for 40 sequences"),
    (
        {"targets": np.ones((COUNT, 3), int)},
        "classes, whole numbers, are one an answer",
    ),
    ({"targets": NUMBERS * 0}, "of which there are at least two"),
    ({"mask": np.ones((COUNT, STEPS))}, "(40, 6), beside targets at every step"),
    (
        {"targets": INPUTS, "mask": np.eye(COUNT, STEPS)},
        "must ask for an answer at the last step",
    ),
    ({"padding": "before"}, "`padding` must be 'after'"),
    ({"lengths": NUMBERS}, "`lengths` must be (40,) whole numbers from 1 to 6"),
    ({"groups": NUMBERS * 0}, "`groups` must be (40,) whole numbers, of at least"),
    ({"split": NUMBERS % 3}, "`split` must be (40,) texts: train,"),
    ({"split": np.array(["train"] * COUNT)}, "`split` leaves no sequences for test"),
    (
        {"groups": NUMBERS % 2, "split": np.array(["train"] * 39 + ["test"])},
        "`split` has sequences of one group in several parts",
    ),
]


@pytest.mark.parametrize(("arrays", "said"), BAD)
def test_a_bad_file_is_one_line(save, arrays, said):
    assert said in refusal(lambda: save(**arrays))


def test_what_is_no_file_of_sequences_is_one_line(tmp_path, monkeypatch):
    np.savez(tmp_path / "half.npz", inputs=INPUTS)
    line = refusal(lambda: Data(file=str(tmp_path / "half.npz")))
    assert "has no array `targets`" in line
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no archive")
    line = refusal(lambda: Data(file=str(tmp_path / "bad.npz")))
    assert "not a readable npz file" in line

    monkeypatch.setattr(own_file, "LARGEST", 100)
    np.savez(tmp_path / "large.npz", **GOOD)
    line = refusal(lambda: Data(file=str(tmp_path / "large.npz")))
    assert "MiB of numbers; python -m pydoc memcap.own.task says what such" in line
    assert "take a part of the sequences, or their last steps" in Data.__doc__


@pytest.mark.parametrize(
    ("targets", "scale", "words"),
    [
        (NUMBERS % 2.0, True, ["as classes: targets.astype(int)"]),
        (NUMBERS % 2, False, ["set task.scale=true"]),
        (NUMBERS % 2, True, []),
    ],
)
def test_what_looks_like_a_mistake_is_named(save, targets, scale, words):
    inputs = np.random.default_rng(0).normal(300, 50, (COUNT, STEPS, 2))
    twice = np.concatenate([inputs[:-3], inputs[:3]])
    assert "3 sequences occur more than once" in save(inputs=twice).doubts(5)[1]
    task = replace(save(inputs=inputs, targets=targets), scale=scale)
    lag = "the nets see the last 3 of 6 steps; task.lag=5 is all of them"
    words = [f"{COUNT} sequences: nets will differ mostly by chance", *words]
    for longest, endings in ((STEPS - 1, words), (2, [*words, lag])):
        doubts = task.doubts(longest)
        pairs = zip(doubts, endings, strict=True)
        assert all(doubt.endswith(ending) for doubt, ending in pairs)


def test_a_net_sees_the_whole_sequence_where_no_lag_is_given(save):
    task = save()
    with pytest.raises(UserError, match="of 6 steps, so lag must be at most 5"):
        memcap.members(task, lag=6)
    ((job,),) = compose_jobs(["task=data", f"task.file={task.file}", "recipe=hold"])
    assert list(job.members) == memcap.members(task, recipe="hold")
    assert job.members[0].lag == STEPS - 1

    axes = f"axes={{task: data, task.file: {task.file}}}"
    ((grid,),) = compose_jobs(["recipe=hold", axes])
    assert grid.members == job.members


@pytest.mark.parametrize("words", ["frontier --json", "figure held_out", "report"])
def test_rows_whose_file_is_gone_name_it(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", **GOOD)
    knobs = {"file": "mine.npz", "criterion": "best"}
    folds = [knobs | {"fold": fold} for fold in range(3)]
    write(
        tmp_path / "study",
        *(group("data", 5, {1: (1, 2)}, knobs=fold) for fold in folds),
    )
    Path("mine.npz").unlink()
    own_file.read.cache_clear()
    done = command(tmp_path, *words.split(), "study")
    assert (done.status, done.out) == (2, "")
    left_out, none = done.err.splitlines()
    assert left_out.startswith(
        "memcap: data, cell lstm: 6 rows left out: mine.npz is not here; put it there, or"
    )
    assert none == (
        "memcap: study: none of its 6 rows can be read here; the lines above say why"
    )


@pytest.mark.breadth
def test_the_verdict_is_about_held_out_sequences(save):
    """Their labels are the others: what training teaches is wrong for all of them."""
    inputs = INPUTS % 2
    targets = inputs[:, -3].copy()
    held = save(inputs=inputs, targets=targets).parts[2]
    targets[held] = 1 - targets[held]
    task = save(inputs=inputs, targets=targets)
    members = memcap.members(task, recipe="hold", lag=2, units=4, budget=300)
    (row,) = memcap.train(members, progress=False).to_dicts()
    assert row["train_loss"] < 0.1
    assert row["final"] < 0.1
