"""`engine.kernel`: what each value trains with, what it says where it can't, and that both kernels come to
the same verdicts."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from native_checks import EMPTY_PATH, needs_compiler
from training_checks import ONE, member, programs, vector

from memcap.cells import native
from memcap.config import Engine
from memcap.knobs import UserError
from memcap.planning.plan import elsewhere
from memcap.planning.step_cost import step_cost
from memcap.studies import store
from memcap.training import engine as engine_module
from memcap.training.engine import settled, train
from memcap.training.groups import SECONDS_A_PROGRAM, SECONDS_A_WEIGHT, shared_programs, size_of
from memcap.training.kernel import kernel_of
from memcap.training.operands import eval_operands, initial_state, train_operands
from memcap.training.program import Program
from memcap.training.queue import Queue
from memcap.training.results import program_id
from memcap.training.step import EVALUATE, Shape

ROOT = Path(__file__).parents[2]
NATIVE = replace(ONE, kernel="native")
needs_kernel = pytest.mark.skipif(
    native.missing() is not None, reason=f"no native kernel: {native.missing()}"
)
TINY = [
    "recipe.budget=20",
    "evaluation.every=10",
    "evaluation.sequences=64",
    "evaluation.stretch=2",
    "engine.workers=1",
]


@pytest.fixture
def without(monkeypatch):
    """A machine where the kernel cannot run."""
    monkeypatch.setattr(native, "missing", lambda: "there is no C compiler `cc` here")
    engine_module._say.cache_clear()


def test_xlas_kernel_is_the_default_and_asks_for_nothing(monkeypatch):
    monkeypatch.setattr(native, "missing", lambda: pytest.fail("asked"))
    assert settled(Engine()) == Engine(kernel="xla")


@needs_compiler
def test_where_there_is_a_compiler_the_kernel_passes_its_test(tmp_path):
    """Else all tests that need it would be left out, and a kernel that is wrong would go unseen."""
    (tmp_path / "any.c").write_text(
        "#include <stdint.h>\n#include <string.h>\nint main(void) { return 0; }\n"
    )
    done = subprocess.run(["cc", "any.c", "-o", "any"], cwd=tmp_path, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("the compiler compiles nothing")
    assert native.missing() is None


@needs_kernel
@pytest.mark.parametrize("kernel", ["auto", "native"])
def test_where_it_can_the_native_kernel_runs(kernel, capsys):
    assert settled(replace(ONE, kernel=kernel)) == NATIVE
    assert capsys.readouterr().err == ""


def test_without_it_auto_says_so_once_and_native_is_refused(without, capsys):
    auto = replace(ONE, kernel="auto")
    assert settled(auto) == settled(auto) == replace(ONE, kernel="xla")
    line = (
        "memcap: XLA runs the LSTM's loop, as the native kernel cannot run here: there is no C compiler"
        " `cc` here\n"
    )
    assert capsys.readouterr().err == line
    with pytest.raises(
        UserError,
        match=r"^engine.kernel=native: cannot run here: there is no .*; engine.kernel=xla runs anywhere$",
    ):
        settled(NATIVE)


@pytest.mark.parametrize("change", [{"batching": "vmap"}, {"scan": "plain"}])
def test_beside_other_loops_native_is_refused_and_auto_is_xla(change, capsys):
    with pytest.raises(UserError, match=r"engine.kernel=native: cannot run here: .*engine\.(batching|scan)="):
        settled(replace(NATIVE, **change))
    assert settled(replace(ONE, kernel="auto", **change)).kernel == "xla"
    assert capsys.readouterr().err == ""


def test_for_a_device_elsewhere_there_is_no_native_kernel():
    assert settled(elsewhere(Engine(kernel="native"))) == Engine("vmap", kernel="xla")


@pytest.mark.parametrize(
    ("one", "kernel"),
    [
        (member(), "native"),
        (member("adding", 4), "native"),
        (member(model={"readout": "lstm"}), "native"),
        (member(model={"cell": "GRUCell"}), "xla"),
        (member(model={"cell": "LSTMCell"}, recipe={"init": "flax"}), "xla"),
        (member(model={"cell": "SimpleCell"}), "xla"),
        (member("windows", 4), "xla"),
        (member("mqar", 4), "native"),  # these two cannot draw a sequence as short as one likes
        (member("selective_copy", 4), "native"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else f"{value.task.name}-{value.model.cell}-{value.model.readout}"
    ),
)
def test_it_serves_memcaps_lstm_on_sequences_without_windows(one, kernel):
    """What is not served is trained by XLA's kernel, and its row says so."""
    shape, steps = Shape.of(one), Program.of(one).trainer.max_length
    assert kernel_of(shape, steps, NATIVE) == kernel
    assert kernel_of(shape, steps, ONE) == kernel_of(shape, steps, replace(ONE, kernel="auto")) == "xla"
    (program,) = programs([one], NATIVE)
    assert (program.trainer.kernel, program.trainer.how) == (kernel, "loop")
    assert Program.of(one, NATIVE).trainer.kernel == kernel


@needs_kernel
def test_a_state_is_gone_on_with_by_the_kernel_that_made_it_alone():
    by_xla, by_native = (Program.of(member(), engine).trainer for engine in (ONE, NATIVE))
    assert program_id(by_native) == program_id(by_xla).removesuffix("xla") + native.library().name
    assert step_cost(Program.of(member(), NATIVE)) == step_cost(Program.of(member(), ONE))


@needs_kernel
def test_a_small_study_has_equal_counts_under_both_kernels():
    ask, recipe = (
        {"every": 10, "sequences": 128},
        {"lr": 0.1, "budget": 80, "batch": 32, "schedule": "constant"},
    )
    study = [
        *(
            member("latch", lag, model={"units": u}, recipe=recipe, evaluation=ask)
            for lag in (3, 5)
            for u in (1, 2)
        ),
        *(
            member("delay_line", 1, seed=s, model={"units": 3}, recipe=recipe, evaluation=ask)
            for s in range(2)
        ),
        member("delay_line", 2, model={"units": 3}, recipe=recipe | {"budget": 25}, evaluation=ask),
        member("latch", 3, model={"units": 2, "cell": "GRUCell"}, recipe=recipe, evaluation=ask),
    ]
    usual, ours = train(study, ONE), train(study, replace(NATIVE, workers=2))
    assert {each.status for each in usual} == {"solved", "unsolved"}
    assert [each.kernel for each in usual] == 8 * ["xla"]
    assert [each.kernel for each in ours] == [*7 * ["native"], "xla"]
    for one, other in zip(usual, ours, strict=True):
        assert (one.status, one.steps, one.scan, one.program_steps) == (
            other.status,
            other.steps,
            "loop",
            other.program_steps,
        )
        np.testing.assert_allclose(vector(one), vector(other), rtol=1e-3, atol=1e-3)
    again = train(study[:2], NATIVE)
    assert [vector(each).tolist() for each in again] == [vector(each).tolist() for each in ours[:2]]


@needs_kernel
def test_widths_that_share_a_program_train_as_alone():
    ask, recipe = (
        {"every": 10, "sequences": 128},
        {"lr": 0.1, "budget": 60, "batch": 32, "schedule": "constant"},
    )
    study = [member("delay_line", 1, model={"units": u}, recipe=recipe, evaluation=ask) for u in (5, 6, 8)]
    (program,) = programs(study, NATIVE)
    shared, alone = train(study, NATIVE), [train([one], NATIVE)[0] for one in study]
    assert (
        [each.program_units for each in shared] == [8, 8, 8] == 3 * [program.shape.architecture.model.units]
    )
    assert [each.program_units for each in alone] == [5, 6, 8]
    assert {each.status for each in alone} == {"solved"}
    for one, other in zip(shared, alone, strict=True):
        assert (one.status, one.steps, one.solved) == (other.status, other.steps, other.solved)
        assert jax.tree.map(np.shape, one.weights) == jax.tree.map(np.shape, other.weights)
        np.testing.assert_allclose(vector(one), vector(other), rtol=1e-4, atol=1e-5)


@needs_kernel
def test_a_program_leaves_out_the_units_that_pad():
    """A NaN in their weights would reach every unit, and the score."""
    one = member("delay_line", 1, model={"units": 2})
    trainer = Program.of(one, NATIVE).trainer
    wide = replace(trainer, shape=trainer.shape.at_width(4))
    architecture, start = wide.shape.architecture, initial_state(wide, one)
    weights = architecture.unflatten(np.array(start.params))
    for name in ("kernel", "recurrent", "bias"):
        weights["cell"][name].reshape(-1, 4, 4)[..., 2:] = np.nan
    poisoned = architecture.flatten(weights)
    assert np.isnan(poisoned).any()
    alone = jax.jit(trainer.evaluate)(
        initial_state(trainer, one).params, eval_operands(trainer, one, EVALUATE)
    )
    assert jax.jit(wide.evaluate)(poisoned, eval_operands(wide, one, EVALUATE)) == alone
    operands = train_operands(wide, one)
    batch = one.task.sample(jax.random.key(0), one.lag, one.length, wide.max_length, 16)
    loss = jax.jit(wide.train_step)(start._replace(params=poisoned), operands, batch)[1]
    assert np.isfinite(loss)
    assert not np.isfinite(
        jax.jit(wide.train_step)(start._replace(params=poisoned), operands._replace(units=3), batch)[1]
    )


def test_widths_in_c_share_a_program_where_padding_costs_less_than_compiling_another_one():
    def widths(engine, budget, cell="lstm", most=21):
        recipe = {"budget": budget, "batch": 16}
        study = [
            member("delay_line", n, model={"units": u, "cell": cell}, recipe=recipe)
            for n in (1, 4)
            for u in range(1, most + 1)
        ]
        return sorted(size_of(program).units for program in programs(study, engine))

    assert widths(NATIVE, 200) == [21]
    assert len(widths(NATIVE, 3000, most=64)) < 6
    assert widths(NATIVE, 10**8) == list(range(1, 22))
    assert widths(ONE, 200) == list(range(1, 22))
    assert widths(NATIVE, 200, cell="GRUCell") == list(range(1, 22))


def test_what_is_joined_to_a_program_costs_less_than_it_saves():
    """And the next narrower width would not, so that no program more is made than pays."""
    shapes = {u: Shape.of(member("delay_line", 4, model={"units": u})) for u in range(1, 65)}
    steps = dict.fromkeys(shapes.values(), 40_000)
    found = shared_programs(steps)
    for units, shape in shapes.items():
        program = found[shape]
        assert found[program] == program
        wasted = (
            40_000 * (program.architecture.parameters() - shape.architecture.parameters()) * SECONDS_A_WEIGHT
        )
        assert 0 <= wasted <= SECONDS_A_PROGRAM
        if units > 1 and found[shapes[units - 1]] != program:
            more = program.architecture.parameters() - shapes[units - 1].architecture.parameters()
            assert 40_000 * more * SECONDS_A_WEIGHT > SECONDS_A_PROGRAM
    assert 1 < len(set(found.values())) < 64


def test_members_that_may_come_and_those_that_were_trained_decide_a_program_too():
    study = [member("delay_line", 1, model={"units": u}) for u in (2, 3, 9)]
    for engine, width in ((NATIVE, 9), (ONE, 2)):
        for more in ({"candidates": study}, {"study": study}):
            (program,) = Queue(study[:1], engine, **more).programs_to_compile()
            assert size_of(program).units == width


def run(folder, *arguments, **environment):
    """`memcap train` in a process of its own."""
    variables = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment
    command = [
        sys.executable,
        "-P",
        "-m",
        "memcap",
        "train",
        "task=latch",
        "model.units=1",
        *TINY,
        *arguments,
    ]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=200, check=False
    )


def test_without_a_compiler_the_command_refuses_native_and_leaves_nothing(tmp_path):
    (tmp_path / "here").mkdir()
    done = run(tmp_path / "here", "engine.kernel=native", XDG_CACHE_HOME=str(tmp_path), **EMPTY_PATH)
    line = "memcap: engine.kernel=native: cannot run here: there is no C compiler `cc` here"
    line += " (No such file or directory);"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{line} engine.kernel=xla runs anywhere\n")
    assert list((tmp_path / "here").iterdir()) == []


def test_without_a_compiler_auto_trains_by_xla(tmp_path):
    done = run(tmp_path, "engine.kernel=auto", XDG_CACHE_HOME=str(tmp_path / "cache"), **EMPTY_PATH)
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr.count(
            "memcap: XLA runs the LSTM's loop, as the native kernel cannot run here: there is no C comp"
        )
        == 1
    )
    assert store.read(tmp_path / "outputs")["kernel"].to_list() == ["xla"]


@needs_kernel
def test_a_second_process_trains_by_what_the_first_one_compiled(tmp_path):
    """XLA's cache holds calls of the library, which must be known before they are loaded."""
    rows = []
    for name in ("first", "second"):
        done = run(tmp_path, "engine.kernel=native", f"out={name}", XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
        rows.append(store.read(tmp_path / name))
    assert rows[0]["kernel"].to_list() == ["native"]
    same = pl.exclude("compile_seconds", "run_seconds", "population", "finished")
    assert rows[0].select(same).equals(rows[1].select(same))
    libraries = [path.suffix for path in (tmp_path / "cache" / "memcap" / "native").iterdir()]
    assert sorted(libraries) == [".so", ".tested"]
