"""Own sequences: what is drawn is what the file holds, held-out ones are never trained
on, and bad files are named."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from breadth import leave
from command import memcap as command
from hypothesis import given
from hypothesis import strategies as st
from study_checks import refusal
from study_rows import group, write
from task_checks import draw, few

import memcap
from memcap.config.knobs import UserError
from memcap.config.member import Member, member_of
from memcap.launch.app import compose_jobs
from memcap.own import file as own_file
from memcap.own.task import Data, _split

COUNT = 40
STEPS = 6


def saved(path, **arrays):
    np.savez(path, **arrays)
    own_file.read.cache_clear()
    return Data(file=str(path))


def symbols(seed=0, steps=STEPS):
    """Sequences that are all different, and whose class is their number."""
    inputs = (
        np.random.default_rng(seed).permutation(4**steps)[:COUNT, None]
        // 4 ** np.arange(steps)
        % 4
    )
    return {"inputs": inputs, "targets": np.arange(COUNT)}


def rows_of(batch, length=STEPS):
    return np.asarray(batch.inputs)[:length].T


def test_what_is_drawn_stands_in_the_file_with_its_target(tmp_path):
    arrays = symbols()
    task = saved(tmp_path / "a.npz", **arrays)
    assert (task.vocabulary, task.outputs, task.loss, task.answers) == (
        5,
        COUNT,
        "classes",
        "last",
    )
    batch = draw(task, STEPS - 1, batch=64)
    np.testing.assert_array_equal(rows_of(batch), arrays["inputs"][batch.targets])


@few
@given(st.integers(0, 2**31 - 1), st.integers(0, 9), st.sampled_from([0.1, 0.5, 0.9]))
def test_held_out_sequences_are_never_trained_on_and_all_are_drawn(
    tmp_path_factory, seed, fold, share
):
    path = tmp_path_factory.mktemp("data") / "a.npz"
    task = replace(saved(path, **symbols()), fold=fold, held_out=share)
    trained, unseen = (
        set(
            np.asarray(
                part(jax.random.key(seed), STEPS - 1, STEPS, STEPS, 2000).targets
            )
        )
        for part in (task.sample, task.unseen)
    )
    assert trained.isdisjoint(unseen)
    assert trained | unseen == set(range(COUNT))
    assert len(unseen) == round(share * COUNT)


def test_the_fold_and_not_the_seed_says_which(tmp_path):
    task = saved(tmp_path / "a.npz", **symbols())
    pairs = (0, 0), (0, 1), (1, 0)
    held = [
        set(
            np.asarray(
                replace(task, fold=f).unseen(jax.random.key(seed), 5, 6, 6, 500).targets
            )
        )
        for f, seed in pairs
    ]
    assert held[0] == held[1] != held[2]


def test_a_shorter_lag_shows_the_end_and_a_longer_length_begins_with_blanks(tmp_path):
    arrays = symbols()
    task = saved(tmp_path / "a.npz", **arrays)
    short = draw(task, 2)
    np.testing.assert_array_equal(
        rows_of(short, 3), arrays["inputs"][short.targets][:, -3:]
    )
    late = draw(task, 2, 5)
    np.testing.assert_array_equal(rows_of(late, 5)[:, :2], 4)
    np.testing.assert_array_equal(
        rows_of(late, 5)[:, 2:], arrays["inputs"][late.targets][:, -3:]
    )


def test_sequences_of_unlike_lengths_end_together(tmp_path):
    arrays = symbols()
    lengths = np.random.default_rng(1).integers(1, STEPS + 1, COUNT)
    batch = draw(
        saved(tmp_path / "a.npz", **arrays, lengths=lengths), STEPS - 1, batch=64
    )
    for row, k in zip(rows_of(batch), batch.targets, strict=True):
        assert (
            row.tolist()
            == [4] * (STEPS - lengths[k]) + arrays["inputs"][k, : lengths[k]].tolist()
        )


@pytest.mark.parametrize("outputs", [1, 3])
def test_values_at_every_step_under_a_mask(tmp_path, outputs):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(COUNT, STEPS, 2))
    mask = rng.random((COUNT, STEPS)) < 0.5
    mask[:, -1] = True
    targets = (
        rng.normal(size=(COUNT, STEPS, outputs))
        if outputs > 1
        else rng.normal(size=(COUNT, STEPS))
    )
    task = saved(tmp_path / "a.npz", inputs=inputs, targets=targets, mask=mask)
    assert (task.vocabulary, task.features) == (None, 2)
    assert (task.outputs, task.loss, task.answers) == (outputs, "values", "every")
    batch = draw(task, STEPS - 1, batch=16)
    for b in range(16):
        k = int(np.abs(inputs[:, 0] - batch.inputs[0, b]).sum(1).argmin())
        np.testing.assert_allclose(batch.inputs[:STEPS, b], inputs[k], rtol=1e-6)
        np.testing.assert_allclose(
            batch.targets[..., :STEPS, b].T, targets[k], rtol=1e-6
        )
        np.testing.assert_array_equal(batch.mask[:STEPS, b], mask[k])


def test_another_content_is_another_member_and_a_row_finds_its_own(tmp_path):
    path = tmp_path / "a.npz"
    first = memcap.members(saved(path, **symbols()), lag=5, units=2)[0]
    config = first.config
    key = first.key
    assert member_of(config).key == key
    second = memcap.members(saved(path, **symbols(seed=1)), lag=5, units=2)[0]
    assert config["data"] != second.config["data"]
    assert key != second.key
    assert "data" not in memcap.members("latch", lag=5)[0].config


def test_where_the_lowest_loss_decides_no_score_of_no_memory_is_refused(tmp_path):
    inputs = symbols()["inputs"]
    task = saved(tmp_path / "a.npz", inputs=inputs, targets=inputs[:, -1])
    with pytest.raises(UserError, match="a net without memory scores accuracy 1"):
        memcap.members(task, lag=5, units=2)
    assert memcap.members(
        replace(task, criterion="best"), recipe="hold", lag=5, units=2
    )


def test_a_net_learns_what_a_file_teaches_and_is_judged_on_what_it_never_saw():
    """The example's class is shown 11 steps before the end: one step less, and a net
    can only learn by heart."""
    (row,) = memcap.train(
        memcap.members("data", recipe="hold", lag=11, units=4), progress=False
    ).to_dicts()
    assert row["solved"]
    (blind,) = memcap.train(
        memcap.members("data", recipe="hold", lag=10, units=4, budget=300),
        progress=False,
    ).to_dicts()
    assert not blind["solved"]
    assert 0.3 < blind["final"] < 0.7


@pytest.mark.breadth
def test_the_verdict_is_about_held_out_sequences(tmp_path):
    """Of these the labels are turned round: what training teaches is wrong for all of them."""
    inputs = np.random.default_rng(0).integers(0, 2, (COUNT, STEPS))
    task = saved(tmp_path / "a.npz", inputs=inputs, targets=inputs[:, -3])
    held = _split(COUNT, task.held_out, task.fold)[1]
    targets = inputs[:, -3].copy()
    targets[held] = 1 - targets[held]
    task = saved(tmp_path / "a.npz", inputs=inputs, targets=targets)
    (row,) = memcap.train(
        memcap.members(task, recipe="hold", lag=2, units=4, budget=300), progress=False
    ).to_dicts()
    assert row["train_loss"] < 0.1
    assert row["final"] < 0.1


@pytest.mark.parametrize("every", leave([False, True]))
def test_an_evaluation_scores_each_held_out_sequence_once(tmp_path, every):
    """Draws with replacement would give other scores each time, and none of them the net's own."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 3, (1500, 5))
    targets = rng.integers(0, 2, (1500, 5))
    mask = rng.random((1500, 5)) < 0.5
    mask[:, -1] = True
    due = {"targets": targets, "mask": mask} if every else {"targets": targets[:, -1]}
    task = replace(saved(tmp_path / "a.npz", inputs=inputs, **due), held_out=0.4)
    members = memcap.members(task, recipe="hold", lag=4, units=2, budget=20)
    (row,) = memcap.train(members, tmp_path / "rows", progress=False).to_dicts()
    places = task.parts[2]
    outputs = memcap.load(tmp_path / "rows", row["key"]).run(inputs[places].T)[0]
    answers = targets[places] if every else targets[places, -1:]
    right = answers == outputs.argmax(-1).T
    true = right[mask[places]].mean() if every else right.mean()
    assert row["final"] == row["stretched"] == pytest.approx(true, abs=1e-6)


GOOD = symbols()
BAD = {
    "no targets": ({"inputs": GOOD["inputs"]}, "has no array `targets`"),
    "another array": (
        {**GOOD, "weights": np.ones(3)},
        "has an array `weights`, which means nothing",
    ),
    "text": (
        {**GOOD, "targets": np.array(["a"] * COUNT)},
        "`targets` must hold numbers",
    ),
    "not finite": (
        {"inputs": np.full((4, 3, 1), np.nan), "targets": np.arange(4)},
        "`inputs` holds numbers that are not finite",
    ),
    "numbers without features": (
        {**GOOD, "inputs": GOOD["inputs"] + 0.5},
        "`inputs` must be (N, T) whole numbers or (N, T, F)",
    ),
    "one sequence": (
        {"inputs": np.ones((1, 6), int), "targets": np.ones(1, int)},
        "at least 2 sequences of at least 2 steps",
    ),
    "other count": ({**GOOD, "targets": np.arange(COUNT - 1)}, "for 40 sequences"),
    "too many axes": (
        {**GOOD, "targets": np.ones((COUNT, 3, 2))},
        "`targets` has shape (40, 3, 2)",
    ),
    "several classes": (
        {**GOOD, "targets": np.ones((COUNT, 3), int)},
        "classes, whole numbers, are one an answer",
    ),
    "one class": (
        {**GOOD, "targets": np.zeros(COUNT, int)},
        "of which there are at least two",
    ),
    "one value": (
        {**GOOD, "targets": np.full(COUNT, 0.5)},
        "`targets` are the same for all sequences",
    ),
    "symbol below 0": (
        {**GOOD, "inputs": GOOD["inputs"] - 1},
        "`inputs` has symbols below 0",
    ),
    "symbols too large": ({**GOOD, "inputs": GOOD["inputs"] * 5000}, "above 4,095"),
    "mask at the last step": (
        {**GOOD, "mask": np.ones((COUNT, STEPS))},
        "`mask` must be (40, 6), beside targets at every step",
    ),
    "mask without an end": (
        {
            "inputs": GOOD["inputs"],
            "targets": GOOD["inputs"],
            "mask": np.eye(COUNT, STEPS),
        },
        "must ask for an answer at the last step",
    ),
    "lengths": (
        {**GOOD, "lengths": np.zeros(COUNT, int)},
        "`lengths` must be (40,) whole numbers from 1 to 6",
    ),
    "lengths of other sequences": (
        {**GOOD, "lengths": np.full(3, 6)},
        "`lengths` must be (40,) whole",
    ),
    "longer than they are": (
        {**GOOD, "lengths": np.full(COUNT, 7)},
        "numbers from 1 to 6",
    ),
    "halves of lengths": (
        {**GOOD, "lengths": np.full(COUNT, 2.5)},
        "`lengths` must be (40,) whole",
    ),
    "one group": (
        {**GOOD, "groups": np.ones(COUNT, int)},
        "`groups` must be (40,) whole numbers, of at least",
    ),
    "groups by half": (
        {**GOOD, "groups": np.arange(COUNT) / 2},
        "`groups` must be (40,) whole numbers",
    ),
    "parts by number": (
        {**GOOD, "split": np.arange(COUNT) % 3},
        "`split` must be (40,) texts: train,",
    ),
    "parts of groups": (
        {
            **GOOD,
            "groups": np.arange(COUNT) % 2,
            "split": np.array(["train"] * 39 + ["test"]),
        },
        "`split` has sequences of one group in several parts",
    ),
    "no test": (
        {**GOOD, "split": np.array(["train"] * COUNT)},
        "`split` leaves no sequences for test",
    ),
    "complex": (
        {**GOOD, "targets": np.arange(COUNT) * 1j},
        "`targets` must hold numbers, not complex128",
    ),
    "structured": (
        {**GOOD, "targets": np.zeros(COUNT, [("a", int)])},
        "`targets` must hold numbers, not [('a'",
    ),
    "dates": (
        {**GOOD, "targets": np.arange(COUNT).astype("M8[s]")},
        "`targets` must hold numbers, not date",
    ),
    "one number": (
        {**GOOD, "inputs": np.array(3)},
        "`inputs` must be (N, T) whole numbers or",
    ),
    "pictures": (
        {**GOOD, "inputs": np.ones((COUNT, 6, 2, 2))},
        "not (40, 6, 2, 2) of float64",
    ),
    "no sequence": (
        {"inputs": np.zeros((0, 6), int), "targets": np.zeros(0, int)},
        "`inputs` has shape (0, 6)",
    ),
    "classes too many": ({**GOOD, "targets": np.arange(COUNT) * 999}, "above 4,095"),
    "negative classes": (
        {**GOOD, "targets": np.arange(COUNT) - 1},
        "must be classes from 0",
    ),
    "object": (
        {**GOOD, "targets": np.array([None] * COUNT)},
        "is no .npz file of plain arrays",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(name, tmp_path):
    arrays, said = BAD[name]
    assert said in refusal(lambda: saved(tmp_path / "bad.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_what_is_no_archive_is_one_line(content, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is no \.npz file of plain arrays"):
        Data(file=str(path))
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        Data(file=str(tmp_path))


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(own_file, "LARGEST", 1 << 20)
    path = tmp_path / "large.npz"
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(UserError, match=r"large\.npz: is larger than 1 MiB; "):
        Data(file=str(path))


def test_a_lag_beyond_the_sequences_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"sequences of 6 steps, so lag must be at most 5"
    ):
        memcap.members(saved(tmp_path / "a.npz", **symbols()), lag=6)


@pytest.mark.parametrize(
    ("targets", "scale", "words"),
    [
        (np.arange(COUNT) % 2.0, True, "as classes: targets.astype(int)"),
        (np.eye(2)[np.arange(COUNT) % 2], True, "as classes: targets.argmax(-1)"),
        (np.arange(COUNT) % 2, False, "set task.scale=true"),
        (np.arange(COUNT) % 2, True, None),
        (np.linspace(0, 1, COUNT), True, None),
    ],
)
def test_what_looks_like_a_mistake_is_named(tmp_path, targets, scale, words):
    inputs = np.random.default_rng(0).normal(300, 50, (COUNT, STEPS, 2))
    task = replace(
        saved(tmp_path / "a.npz", inputs=inputs, targets=targets), scale=scale
    )
    assert not task.has_other_lags(STEPS - 1)
    assert [doubt.endswith(words) for doubt in task.doubts(STEPS - 1)] == [True] * (
        words is not None
    )


def test_steps_that_no_net_would_see_are_named(tmp_path):
    task = saved(tmp_path / "a.npz", **symbols())
    assert task.doubts(STEPS - 1) == []
    (doubt,) = task.doubts(2)
    assert doubt.endswith(
        f"the nets see the last 3 of {STEPS} steps; task.lag={STEPS - 1} is all of them"
    )


def test_a_net_sees_the_whole_sequence_where_no_lag_is_given(tmp_path):
    file = saved(tmp_path / "a.npz", **symbols()).file
    ((job,),) = compose_jobs(["task=data", f"task.file={file}", "recipe=hold"])
    assert list(job.members) == memcap.members("data", file=file, recipe="hold")
    assert job.members[0] == replace(job.members[0], lag=STEPS - 1)
    ((other,),) = compose_jobs(["task=data", "recipe=hold", "axes={task: [latch]}"])
    assert other.members[0].lag == 8
    ((grid,),) = compose_jobs(
        ["recipe=hold", f"axes={{task: data, task.file: {file}}}"]
    )
    assert grid.members == job.members


def test_a_criterion_below_chance_names_its_knob(tmp_path):
    targets = np.zeros(2000, int)
    targets[:4] = 1
    task = saved(tmp_path / "a.npz", inputs=np.zeros((2000, STEPS, 1)), targets=targets)
    with pytest.raises(
        UserError, match=r"set task\.criterion beyond that, or task\.criterion=best"
    ):
        Member(task, STEPS - 1)


@pytest.mark.parametrize(
    "words",
    ["frontier", "frontier --json", "figure held_out", "report", "compare study"],
)
def test_rows_whose_file_is_gone_name_it(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    saved("mine.npz", **symbols())
    write(
        tmp_path / "study",
        *(
            group(
                "data",
                5,
                {1: (0, 2)},
                knobs={"file": "mine.npz", "criterion": "best", "fold": fold},
            )
            for fold in range(3)
        ),
    )
    (tmp_path / "mine.npz").unlink()
    own_file.read.cache_clear()
    done = command(tmp_path, *words.split(), "study")
    assert (done.status, done.out) == (2, "")
    gone, none = done.err.splitlines()
    assert gone.startswith(
        "memcap: data, cell lstm: 6 rows left out: mine.npz is not here; put it there, or"
    )
    assert (
        none
        == "memcap: study: none of its 6 rows can be read here; the lines above say why"
    )


def test_the_counts_of_rows_whose_file_is_gone_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved("mine.npz", **symbols())
    write(
        tmp_path / "study",
        group("data", 5, {1: (1, 2)}, knobs={"file": "mine.npz", "criterion": 0.9}),
    )
    (tmp_path / "mine.npz").unlink()
    own_file.read.cache_clear()
    done = command(tmp_path, "frontier", "study")
    assert "1:1/2\n" in done.out
    assert "--module" not in done.out
    assert "mine.npz is not here" in done.err
