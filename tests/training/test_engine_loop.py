"""`engine.loop`: what each value trains with, what it says where it can't, and the
knobs before it; and that loops come to the same verdicts."""

import subprocess
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest
from command import python
from native_checks import needs_compiler
from training_checks import ONE, member, programs, vector

from memcap import loops, store
from memcap.cells import cell_class
from memcap.config.knobs import UserError
from memcap.config.member import Engine
from memcap.loops import Choice, Loop, Request, gru_native, lstm_native
from memcap.loops.gated_native import GatedC
from memcap.planning.plan import elsewhere
from memcap.planning.step_cost import step_cost
from memcap.terminal.words import warn_once
from memcap.training.engine import train
from memcap.training.program import (
    SECONDS_A_PROGRAM,
    Program,
    loop_of,
    shared_programs,
    size_of,
)
from memcap.training.queue import Queue
from memcap.training.results import program_id
from memcap.training.step import TrainSpec

NATIVE = replace(ONE, loop="native")
SECONDS_A_WEIGHT = loops.padding_cost("native") or 0.0
NO_COMPILER = "there is no C compiler `cc` here"
LSTM = lstm_native.IN_C
GRU = gru_native.IN_C
needs_native = pytest.mark.skipif(
    any(cell.missing() is not None for cell in (LSTM, GRU)),
    reason=f"no LSTM in C: {LSTM.missing()}",
)
TINY = [
    "recipe.budget=20",
    "evaluation.every=10",
    "evaluation.sequences=64",
    "evaluation.stretch=2",
]


@pytest.fixture
def without(monkeypatch):
    """A machine where nothing in C can run."""
    monkeypatch.setattr(GatedC, "missing", lambda self: NO_COMPILER)
    warn_once.cache_clear()


@pytest.fixture
def unasked(monkeypatch):
    """Nobody looks whether C could run."""
    monkeypatch.setattr(GatedC, "missing", lambda self: pytest.fail("asked"))


def chosen(wanted, cell="lstm", platform="cpu", windows=False):
    return loops.choose(wanted, Request(cell_class(cell), platform, windows))


@needs_compiler
@pytest.mark.parametrize("cell", [LSTM, GRU], ids=lambda cell: cell.name)
def test_where_there_is_a_compiler_a_cell_in_c_passes_its_test(tmp_path, cell):
    """Else all tests that need it would be left out, and a loop that is wrong would go unseen."""
    (tmp_path / "any.c").write_text(
        "#include <stdint.h>\n#include <string.h>\nint main(void) { return 0; }\n"
    )
    done = subprocess.run(
        ["cc", "any.c", "-o", "any"], cwd=tmp_path, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("the compiler compiles nothing")
    assert cell.missing() is None


@needs_native
@pytest.mark.parametrize("cell", ["lstm", "GRUCell"])
def test_where_it_can_a_cell_in_c_is_chosen_and_says_nothing(capsys, cell):
    warn_once.cache_clear()
    assert (
        chosen("auto", cell)
        == chosen("native", cell)
        == Choice("native", side_by_side=False)
    )
    loops.check("native")
    assert capsys.readouterr().err == ""


def test_without_it_auto_says_so_once_and_native_is_refused(without, capsys):
    assert chosen("auto") == chosen("auto") == Choice("while", side_by_side=False)
    line = (
        "memcap: XLA runs the LSTM's loop, as engine.loop=native cannot run here:"
        f" {NO_COMPILER}\n"
    )
    assert capsys.readouterr().err == line
    said = (
        r"^engine.loop=native: cannot run here: there is no .*; engine.loop=reproducible runs"
        r" anywhere$"
    )
    with pytest.raises(UserError, match=said):
        loops.check("native")


@needs_native
def test_a_cell_that_fails_its_test_costs_a_line_and_the_other_runs_in_c(
    monkeypatch, capsys
):
    monkeypatch.setattr(
        GatedC, "missing", lambda self: "of a reason" if self is GRU else None
    )
    warn_once.cache_clear()
    loops.check("native")
    assert chosen("auto") == chosen("native") == Choice("native", side_by_side=False)
    for loop in ("auto", "native"):
        assert chosen(loop, "GRUCell") == Choice("while", side_by_side=False)
    line = "memcap: XLA runs the GRU's loop, as engine.loop=native cannot run here: of a reason\n"
    assert capsys.readouterr().err == line


def test_reproducible_is_xlas_loops_and_asks_for_nothing(unasked):
    for cell in ("lstm", "GRUCell", "LRU"):
        assert chosen("reproducible", cell) == Choice("while", side_by_side=False)
        for platform in ("gpu", "tpu"):
            loop = "associative" if cell == "LRU" else "masked"
            assert chosen("reproducible", cell, platform) == Choice(
                loop, side_by_side=True
            )
            assert chosen("auto", cell, platform) == Choice(loop, side_by_side=True)


def test_a_loop_by_name_leaves_what_it_refuses_to_its_fallback(unasked):
    assert (
        chosen("native", "SimpleCell")
        == chosen("native", windows=True)
        == Choice("while", False)
    )
    assert chosen("native", "GRUCell", windows=True) == Choice("while", False)
    assert (
        chosen("associative")
        == chosen("associative", "LRU+noise0.1")
        == Choice("masked", True)
    )
    assert chosen("plain", platform="gpu") == Choice("plain", side_by_side=True)
    assert chosen("while", platform="gpu") == Choice("while", side_by_side=False)


def test_an_unknown_loop_is_refused():
    names = "auto, reproducible, associative, masked, native, plain, while"
    with pytest.raises(
        UserError,
        match=rf"^engine.loop=fast: no such loop; one of {names}, or MODULE:OBJECT",
    ):
        Engine(loop="fast")


def test_for_a_device_elsewhere_loops_of_cpus_are_none():
    for loop in ("auto", "reproducible", "native"):
        assert elsewhere(Engine(loop=loop, lanes=3)) == Engine(
            loop="associative", lanes=3
        )
    for loop in ("while", "plain"):
        assert elsewhere(Engine(loop=loop)) == Engine(loop=loop)


@pytest.mark.parametrize(
    ("one", "loop"),
    [
        (member(), "native"),
        (member("adding", 4), "native"),
        (member(model={"readout": "lstm"}), "native"),
        (member(model={"cell": "GRUCell"}), "native"),
        (member("windows", 4, model={"cell": "GRUCell"}), "while"),
        (member(model={"cell": "LSTMCell"}, recipe={"init": "flax"}), "while"),
        (member(model={"cell": "SimpleCell"}), "while"),
        (member("windows", 4), "while"),
        (
            member("mqar", 4),
            "native",
        ),  # these two cannot draw a sequence as short as one likes
        (member("selective_copy", 4), "native"),
    ],
    ids=lambda value: (
        value
        if isinstance(value, str)
        else f"{value.task.name}-{value.model.cell}-{value.model.readout}"
    ),
)
def test_c_serves_memcaps_lstm_and_flaxs_gru_on_sequences_without_windows(one, loop):
    """What is not served is trained by XLA's loop, and its row says so."""
    spec = TrainSpec.of(one)
    steps = Program.of(one).trainer.max_length
    assert loop_of(spec, steps, NATIVE) == Choice(loop, side_by_side=False)
    assert loop_of(spec, steps, Engine(loop="reproducible")) == Choice(
        "while", side_by_side=False
    )
    (program,) = programs([one], NATIVE)
    assert program.trainer.loop == Program.of(one, NATIVE).trainer.loop == loop


def test_a_row_says_its_loop_and_the_columns_before_it_say_the_same():
    known = {
        ("while", False): ("map", "loop", "xla"),
        ("native", False): ("map", "loop", "native"),
        ("masked", True): ("vmap", "scan", "xla"),
        ("associative", True): ("vmap", "scan", "xla"),
        ("plain", False): ("map", "plain", "xla"),
        ("plain", True): ("vmap", "plain", "xla"),
    }
    for (loop, side_by_side), columns in known.items():
        named = dict(zip(("batching", "scan", "kernel"), columns, strict=True))
        assert loops.row_columns(loop, side_by_side) == {"loop": loop, **named}


class Counted(Loop):
    """A loop of somebody else's: the plain one, which counts how often it is traced."""

    traces = 0

    def refuses(self, request):
        return "it knows no windows" if request.windows else None

    def run(self, cell, carry, over):
        type(self).traces += 1
        return loops.resolve("plain", Request(type(cell), "cpu", windows=False)).run(
            cell, carry, over
        )


@pytest.mark.usefixtures("quick_compile")
def test_a_loop_from_outside_trains_and_names_its_rows():
    name = f"{__name__}:Counted"
    one = member("latch", 3, recipe={"budget": 20})
    (ours,), (usual,) = train([one], Engine(loop=name, workers=1)), train([one], ONE)
    assert Counted.traces > 0
    assert (ours.loop, usual.loop) == (name, "while")
    assert loops.row_columns(name, side_by_side=False)["loop"] == name
    assert (ours.status, ours.steps) == (usual.status, usual.steps)
    np.testing.assert_allclose(vector(ours), vector(usual), rtol=1e-3, atol=1e-4)
    assert chosen(name, windows=True) == Choice("while", side_by_side=False)


def test_what_is_no_loop_is_refused():
    with pytest.raises(
        UserError, match=r"must be a class or an object of memcap\.loops\.Loop"
    ):
        Engine(loop=f"{__name__}:NATIVE")


@needs_native
def test_a_state_is_gone_on_with_by_the_loop_that_made_it_alone():
    by_xla, by_native = (
        Program.of(member(), engine).trainer for engine in (ONE, NATIVE)
    )
    same = program_id(by_xla).removesuffix("while")
    assert program_id(by_native) == same + LSTM.library().name
    gru = member(model={"cell": "GRUCell", "readout": "lstm"})
    both = f"{GRU.library().name}+{LSTM.library().name}"
    assert program_id(Program.of(gru, NATIVE).trainer).rpartition(" ")[2] == both
    assert step_cost(Program.of(member(), NATIVE)) == step_cost(
        Program.of(member(), ONE)
    )


@pytest.mark.breadth
@needs_native
@pytest.mark.usefixtures("quick_compile")
def test_widths_that_share_a_program_train_as_alone():
    ask = {"every": 10, "sequences": 128}
    recipe = {"lr": 0.1, "budget": 60, "batch": 32, "schedule": "constant"}
    study = [
        member("delay_line", 1, model={"units": u}, recipe=recipe, evaluation=ask)
        for u in (5, 6, 8)
    ]
    (program,) = programs(study, NATIVE)
    shared = train(study, NATIVE)
    alone = [train([one], NATIVE)[0] for one in study]
    assert (
        [each.program_units for each in shared]
        == [8, 8, 8]
        == 3 * [program.spec.architecture.model.units]
    )
    assert [each.program_units for each in alone] == [5, 6, 8]
    assert {each.status for each in alone} == {"solved"}
    for one, other in zip(shared, alone, strict=True):
        assert (one.status, one.steps, one.solved) == (
            other.status,
            other.steps,
            other.solved,
        )
        assert jax.tree.map(np.shape, one.weights) == jax.tree.map(
            np.shape, other.weights
        )
        np.testing.assert_allclose(vector(one), vector(other), rtol=1e-4, atol=1e-5)


def test_widths_in_c_share_a_program_where_padding_costs_less_than_compiling_another_one():
    def widths(engine, budget, cell="lstm", most=8):
        recipe = {"budget": budget, "batch": 16}
        study = [
            member("delay_line", n, model={"units": u, "cell": cell}, recipe=recipe)
            for n in (1, 4)
            for u in range(1, most + 1)
        ]
        return sorted(size_of(program).units for program in programs(study, engine))

    assert widths(NATIVE, 200) == [8]
    assert len(widths(NATIVE, 3000, most=32)) < 5
    assert widths(NATIVE, 10**8) == list(range(1, 9))
    assert widths(ONE, 200) == list(range(1, 9))
    assert widths(NATIVE, 200, cell="GRUCell") == [8]
    assert widths(NATIVE, 200, cell="SimpleCell") == list(range(1, 9))


def test_what_is_joined_to_a_program_costs_less_than_it_saves():
    """And the next narrower width would not, so that no program more is made than pays."""
    specs = {
        u: TrainSpec.of(member("delay_line", 4, model={"units": u}))
        for u in range(1, 65)
    }
    steps = dict.fromkeys(specs.values(), 40_000)
    found = shared_programs(steps, SECONDS_A_WEIGHT)
    for units, spec in specs.items():
        program = found[spec]
        assert found[program] == program
        wasted = (
            40_000
            * (program.architecture.parameters() - spec.architecture.parameters())
            * SECONDS_A_WEIGHT
        )
        assert 0 <= wasted <= SECONDS_A_PROGRAM
        if units > 1 and found[specs[units - 1]] != program:
            more = (
                program.architecture.parameters()
                - specs[units - 1].architecture.parameters()
            )
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
    words = [
        "-P",
        "-m",
        "memcap",
        "train",
        "task=latch",
        "model.units=1",
        "engine.workers=1",
        *TINY,
    ]
    return python(folder, *words, *arguments, JAX_PLATFORMS="cpu", **environment)


@pytest.mark.breadth
@needs_native
def test_a_second_process_trains_by_what_the_first_one_compiled(tmp_path):
    """XLA's cache holds calls of the library, which must be known before they are loaded."""
    rows = []
    for name in ("first", "second"):
        done = run(
            tmp_path,
            "engine.loop=native",
            f"out={name}",
            XDG_CACHE_HOME=str(tmp_path / "cache"),
        )
        assert done.returncode == 0, done.stderr
        rows.append(store.read(tmp_path / name))
    assert rows[0].select("kernel", "loop").row(0) == ("native", "native")
    same = pl.exclude("compile_seconds", "run_seconds", "population", "finished")
    assert rows[0].select(same).equals(rows[1].select(same))
    libraries = [
        path.suffix for path in (tmp_path / "cache" / "memcap" / "native").iterdir()
    ]
    assert sorted(libraries) == [".so", ".tested"]
