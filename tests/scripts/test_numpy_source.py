"""A task's NumPy source makes of the same random numbers, bit for bit, the sequences
that the task makes."""

import sys
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave

import memcap
from memcap import tasks
from memcap.config.member import task_of
from memcap.scripts.memcap_source import memcap_source
from memcap.scripts.numpy_source import NoTwinError, numpy_source
from memcap.tasks.delay_line import DelayLine

KNOBS = {
    "delay_line": [[], ["symbols=5"], ["reals=true"]],
    "copy": [
        [],
        ["items=7", "distractors=3", "cue=throughout"],
        ["waits=drawn"],
        ["coding=number"],
    ],
    "latch": [[], ["symbols=9", "distractors=0"]],
    "count": [[], ["kind=tokens"]],
    "temporal_order": [[], ["relevant=3"]],
    "pattern": [[], ["classes=3", "middle=random"]],
    "selective_copy": [[], ["items=6", "symbols=3", "distractors=2", "cue=throughout"]],
    "vector_hold": [[], ["numbers=1"]],
    "bandlimited_delay": [[], ["cycles=2", "rms=0.5"]],
    "dyck": [[], ["types=3", "depth=2"]],
    "mqar": [
        [],
        ["pairs=2", "symbols=4", "fillers=random"],
        ["layout=stacked", "rewrites=1"],
    ],
    "windows": [[], ["window=3", "label=last"]],
}
CASES = [
    pytest.param(task_of(name, knobs), id=" ".join([name, *knobs]))
    for name in tasks.task_classes()
    for knobs in KNOBS.get(name, [[]])
]
# What draws, and NumPy's name for it, with the arguments that come before the shape.
DRAWS = {
    "uniform": ("random",),
    "normal": ("standard_normal",),
    "gumbel": ("gumbel", 0, 1),
    "bits": ("integers", 0, 2**32),
}


class Recorder:
    """What JAX draws, in order, by the name of NumPy's twin."""

    def __init__(self, monkeypatch, task):
        # how deep in functions that draw
        self.drawn = []
        self.depth = 0
        for name, (twin, *bounds) in DRAWS.items():
            monkeypatch.setattr(
                jax.random,
                name,
                self.recording(getattr(jax.random, name), twin, *bounds),
            )
        module = sys.modules[type(task).__module__]
        if hasattr(module, "integers"):
            monkeypatch.setattr(
                module, "integers", self.recording(module.integers, "integers")
            )

    def recording(self, function, twin, *limits):
        def draw(key, shape, *bounds):
            self.depth += 1
            values = function(key, shape, *bounds)
            self.depth -= 1
            if not self.depth:
                self.drawn.append(
                    (twin, shape, limits, () if limits else bounds, values)
                )
            return values

        return draw

    def compiled(self, sample, seed, *sizes):
        """The batch that `sample` makes, and what it drew, from one program: eagerly
        each operation is."""

        def both(key):
            batch = sample(key, *sizes)
            return batch, [drawn[3:] for drawn in self.drawn]

        batch, arrays = jax.tree.map(np.asarray, jax.jit(both)(jax.random.key(seed)))
        self.drawn = [
            (twin, shape, limits or bounds, values)
            for (twin, shape, limits, *_), (bounds, values) in zip(
                self.drawn, arrays, strict=True
            )
        ]
        return batch


class Replay:
    """A generator that draws what was recorded, and sees that it is asked for the same."""

    def __init__(self, drawn):
        self.drawn = list(drawn)

    def _next(self, twin, shape, *bounds):
        name, recorded, limits, values = self.drawn.pop(0)
        assert (name, tuple(recorded)) == (twin, tuple(shape))
        for bound, limit in zip(bounds, limits, strict=True):
            np.testing.assert_array_equal(bound, limit)
        return values

    def integers(self, least, end, shape, dtype=np.int64):
        assert np.can_cast(np.min_scalar_type(end - 1), dtype)
        return self._next("integers", shape, least, end)

    def gumbel(self, place, scale, shape):
        return self._next("gumbel", shape, place, scale)

    def random(self, shape):
        return self._next("random", shape)

    def standard_normal(self, shape):
        return self._next("standard_normal", shape)


def functions(source, **modules):
    """`sample` and `length_of` of a source, in a name space that has NumPy and these modules."""
    names = {"np": np, **modules}
    exec(source, names)
    return names["sample"], names["length_of"]


def draws(task):
    """The same of a task as a script has them, by memcap where it has no twin in NumPy."""
    try:
        return functions(numpy_source(task))
    except NoTwinError:
        return functions(memcap_source(task), jax=jax, memcap=memcap)


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize(
    ("task", "lag", "more", "buffer"),
    leave(
        [pytest.param(*case.values, 12, 5, 2, id=case.id) for case in CASES],
        but=lambda task, *_: task in (task_of("latch", []), task_of("mqar", [])),
    )
    + [(task_of(name, []), 4, 0, 0) for name in ("copy", "dyck", "temporal_order")],
)
def test_equals_the_task(task, lag, more, buffer, monkeypatch):
    try:
        sample, length_of = functions(numpy_source(task))  # before anything is replaced
    except NoTwinError as error:
        pytest.skip(f"drawn by memcap, since {error}")
    lag = max(lag, task.smallest_lag)
    length = task.length(lag) + more
    recorder = Recorder(monkeypatch, task)
    batch = recorder.compiled(task.sample, lag, lag, length, length + buffer, 6)
    replay = Replay(recorder.drawn)
    arrays = sample(replay, lag, length, length + buffer, 6)
    wanted = [field for field in batch if field is not None]
    assert length_of(lag) == task.length(lag)
    assert recorder.drawn or task.vocabulary == 1  # a constant input is not drawn
    assert replay.drawn == []
    assert len(arrays) == len(wanted)
    for array, field in zip(arrays, wanted, strict=True):
        assert array.shape == field.shape
        np.testing.assert_allclose(
            array, field, rtol=1e-6, atol=1e-6
        )  # float64 against float32


@pytest.mark.parametrize("task", CASES)
def test_draws_symbols_of_the_task_from_a_generator(task):
    sample, length_of = draws(task)
    arrays = sample(np.random.default_rng(0), 9, length_of(9), length_of(9), 64)
    assert all(isinstance(array, np.ndarray) for array in arrays)
    if task.vocabulary is not None:
        assert set(np.unique(arrays[0])) <= set(range(task.vocabulary))
    if task.loss == "classes":
        assert set(np.unique(arrays[1])) <= set(range(task.outputs))


def test_its_names_are_values():
    source = numpy_source(task_of("copy", ["items=3"]))
    assert not [
        word for word in ("self", "jnp", "jax", "memcap", "key") if word in source
    ]
    assert "rng.integers(0, 2, (3, batch))" in source
    assert "drawn" not in source  # a branch that `waits` rules out


def arrays_of(kind):
    """Of a file of 9 sequences of 6 steps: symbols and classes at the end; or numbers,
    and values at every step, of several lengths."""
    rng = np.random.default_rng(1)
    if kind == "last":
        return {"inputs": rng.integers(0, 5, (9, 6)), "targets": rng.integers(0, 3, 9)}
    arrays = {
        "inputs": rng.normal(size=(9, 6, 2)),
        "targets": rng.normal(size=(9, 6, 3)),
    }
    lengths = rng.integers(2, 7, 9)
    if kind == "split":
        split = np.array(["train", "test", "train"])
        return arrays | {"split": np.repeat(split, 3), "groups": np.arange(9) // 3}
    return (
        arrays
        if kind == "every"
        else arrays | {"lengths": lengths, "mask": np.ones((9, 6), int)}
    )


@pytest.mark.parametrize("kind", ["last", "every", "of several lengths", "split"])
@pytest.mark.parametrize("name", ["sample", "unseen"])
def test_a_users_sequences_are_read_and_split_as_memcap_does(
    kind, name, monkeypatch, tmp_path
):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays_of(kind))
    task = task_of("data", [f"file={path}", f"fold={0 if kind == 'split' else 2}"])
    names = {"np": np}
    exec(source := numpy_source(task), names)
    assert ("def _split(" in source) == (kind != "split")
    recorder = Recorder(monkeypatch, task)
    batch = recorder.compiled(getattr(task, name), 3, 3, 4, 7, 50)
    arrays = names[name](Replay(recorder.drawn), 3, 4, 7, 50)
    for array, field in zip(
        arrays, [field for field in batch if field is not None], strict=True
    ):
        np.testing.assert_array_equal(array, field)


@dataclass(frozen=True)
class Spikes(DelayLine):
    """Draws by a helper of its own, and sets a step."""

    def sample(self, key, lag, length, steps, batch):
        x = jax.random.bernoulli(key, 1 / self.symbols, (steps, batch)).astype(
            jnp.int32
        )
        x = x.at[0].set(1)
        return tasks.Batch(x, twice(x), jnp.ones_like(x, bool))


def twice(x):
    return 2 * x


def test_a_task_from_outside_has_one_with_its_helpers():
    sample, _ = functions(numpy_source(Spikes(symbols=4)))
    inputs, targets, mask = sample(np.random.default_rng(0), 3, 9, 9, 500)
    assert inputs[0].all()
    assert abs(inputs[1:].mean() - 0.25) < 0.03
    np.testing.assert_array_equal(targets, 2 * inputs)
    assert mask.all()


@dataclass(frozen=True)
class Rectified(DelayLine):
    """Uses what NumPy has under no such name."""

    def sample(self, key, lag, length, steps, batch):
        x = jax.nn.relu(jax.random.randint(key, (steps, batch), 0, self.symbols))
        return tasks.Batch(x, x, jnp.ones_like(x, bool))


@dataclass(frozen=True)
class Derived(DelayLine):
    """Draws by its parent's method."""

    def sample(self, key, lag, length, steps, batch):
        return super().sample(key, lag, length, steps, batch)


@dataclass(frozen=True)
class Counted(DelayLine):
    """Uses a method of JAX's arrays that NumPy's lack."""

    def sample(self, key, lag, length, steps, batch):
        x = jax.random.randint(key, (steps, batch), 0, self.symbols - 1)
        return tasks.Batch(x.at[0].add(1), x, jnp.ones_like(x, bool))


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (Rectified, "it uses jax.nn.relu"),
        (Derived, "it uses super"),
        (Counted, r"its `sample` does not run in NumPy \(AttributeError\)"),
    ],
)
def test_what_has_no_twin_is_drawn_by_memcap(cls, why):
    with pytest.raises(NoTwinError, match=why):
        numpy_source(cls(symbols=5))
    test_draws_symbols_of_the_task_from_a_generator(cls(symbols=5))
