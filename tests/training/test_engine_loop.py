"""`engine.loop`: what each value trains with, what it says where it can't, and the
knobs before it; and that loops come to the same verdicts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from command import python
from native_checks import needs_compiler
from training_checks import ONE, member, programs, vector, verdict

from memcap import loops, store
from memcap.cells import cell_class
from memcap.config.member import Engine
from memcap.knobs import UserError
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
    program_id,
    shared_programs,
    size_of,
)
from memcap.training.queue import Queue
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


WHILE = Choice("while", side_by_side=False)
C = Choice("native", side_by_side=False)
MASKED = Choice("masked", side_by_side=True)
ASSOCIATIVE = Choice("associative", side_by_side=True)


def chosen(wanted, cell="lstm", platform="cpu", windows=False):
    return loops.choose(wanted, Request(cell_class(cell), platform, windows))


@needs_compiler
@pytest.mark.parametrize("cell", [LSTM, GRU], ids=lambda cell: cell.name)
def test_where_there_is_a_compiler_a_cell_in_c_passes_its_test(cell):
    """Else all tests that need it would be left out, and a loop that is wrong would go unseen."""
    assert cell.missing() is None


def test_without_it_auto_says_so_once_and_native_is_refused(without, capsys):
    assert chosen("auto") == chosen("auto") == WHILE
    reason = f"engine.loop=native cannot run here: {NO_COMPILER}"
    line = f"memcap: XLA runs the loop, as {reason}\n"
    assert capsys.readouterr().err == line
    said = (
        f"^engine.loop=native: cannot run here: {NO_COMPILER}; engine.loop=reproducible"
    )
    with pytest.raises(UserError, match=said):
        loops.check("native")


@needs_native
def test_a_cell_that_fails_its_test_costs_a_line_and_the_other_runs_in_c(
    monkeypatch, capsys
):
    reasons = {GRU: "of a reason", LSTM: None}
    monkeypatch.setattr(GatedC, "missing", lambda self: reasons[self])
    warn_once.cache_clear()
    loops.check("native")
    assert chosen("auto") == chosen("native") == C
    assert chosen("auto", "GRUCell") == chosen("native", "GRUCell") == WHILE
    line = "memcap: XLA runs the loop, as engine.loop=native cannot run here: of a reason\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("wanted", "where", "choice"),
    [
        ("reproducible", {}, WHILE),
        ("reproducible", {"cell": "LRU"}, WHILE),
        ("reproducible", {"cell": "gla", "platform": "gpu"}, ASSOCIATIVE),
        ("auto", {"platform": "gpu"}, MASKED),
        ("auto", {"cell": "GRUCell", "platform": "tpu"}, MASKED),
        ("auto", {"cell": "LRU", "platform": "gpu"}, ASSOCIATIVE),
        ("native", {"cell": "SimpleCell"}, WHILE),
        ("native", {"windows": True}, WHILE),
        ("associative", {"cell": "LRU+noise0.1"}, MASKED),
        ("plain", {"platform": "gpu"}, Choice("plain", side_by_side=True)),
    ],
)
def test_a_loop_by_name_leaves_what_it_refuses_to_its_fallback(
    monkeypatch, wanted, where, choice
):
    """And nobody looks whether C could run."""
    monkeypatch.setattr(GatedC, "missing", lambda self: pytest.fail("asked"))
    assert chosen(wanted, **where) == choice


def test_an_unknown_loop_is_refused():
    names = "auto, reproducible, associative, masked, native, plain, while"
    said = f"^engine.loop=fast: no such loop; one of {names}, or MODULE:OBJECT"
    with pytest.raises(UserError, match=said):
        Engine(loop="fast")


@pytest.mark.parametrize("loop", ["auto", "reproducible", "native", "while", "plain"])
def test_for_a_device_elsewhere_loops_of_cpus_are_none(loop):
    found = loop if loop in ("while", "plain") else "associative"
    assert elsewhere(Engine(loop=loop, lanes=3)) == Engine(loop=found, lanes=3)


@pytest.mark.parametrize(
    ("task", "knobs", "loop"),
    [
        ("latch", {}, "native"),
        ("adding", {}, "native"),
        ("latch", {"readout": "lstm"}, "native"),
        ("latch", {"cell": "GRUCell"}, "native"),
        ("latch", {"cell": "SimpleCell"}, "while"),
        ("windows", {}, "while"),
        # these two cannot draw a sequence as short as one likes
        ("mqar", {}, "native"),
        ("selective_copy", {}, "native"),
    ],
)
def test_c_serves_memcaps_lstm_and_flaxs_gru_on_sequences_without_windows(
    task, knobs, loop
):
    """What is not served is trained by XLA's loop, and its row says so."""
    one = member(task, 4, **knobs)
    spec = TrainSpec.of(one)
    assert loop_of(spec, one.length, NATIVE) == Choice(loop, side_by_side=False)
    assert loop_of(spec, one.length, Engine(loop="reproducible")) == WHILE
    (program,) = programs([one], NATIVE)
    assert program.trainer.loop == Program.of(one, NATIVE).trainer.loop == loop


class Counted(Loop):
    """A loop of somebody else's: the plain one, which counts how often it is traced."""

    traces = 0

    def refuses(self, request):
        return "it knows no windows" if request.windows else None

    def run(self, cell, carry, over):
        type(self).traces += 1
        plain = loops.resolve("plain", Request(type(cell), "cpu", windows=False))
        return plain.run(cell, carry, over)


@pytest.mark.usefixtures("quick_compile")
def test_a_loop_from_outside_trains_and_names_its_rows():
    name = f"{__name__}:Counted"
    one = member(budget=20)
    (ours,) = train([one], Engine(loop=name, workers=1))
    (usual,) = train([one], ONE)
    assert Counted.traces > 0
    assert (ours.loop, usual.loop) == (name, "while")
    assert loops.row_columns(name, side_by_side=False)["loop"] == name
    assert verdict(ours) == verdict(usual)
    np.testing.assert_allclose(vector(ours), vector(usual), rtol=1e-3, atol=1e-4)
    assert chosen(name, windows=True) == WHILE


def test_what_is_no_loop_is_refused():
    said = r"must be a class or an object of memcap\.loops\.Loop"
    with pytest.raises(UserError, match=said):
        Engine(loop=f"{__name__}:NATIVE")


@needs_native
def test_a_state_is_gone_on_with_by_the_loop_that_made_it_alone():
    by_xla = Program.of(member(), ONE)
    in_c = Program.of(member(), NATIVE)
    same = program_id(by_xla.trainer).removesuffix("while")
    assert program_id(in_c.trainer) == same + LSTM.library().name
    gru = Program.of(member(cell="GRUCell", readout="lstm"), NATIVE)
    both = f"{GRU.library().name}+{LSTM.library().name}"
    assert program_id(gru.trainer).rpartition(" ")[2] == both
    assert step_cost(in_c) == step_cost(by_xla)


@pytest.mark.breadth
@needs_native
@pytest.mark.usefixtures("quick_compile")
def test_widths_that_share_a_program_train_as_alone():
    values = {"sequences": 128, "lr": 0.1, "budget": 60, "batch": 32}
    values |= {"schedule": "constant", "layers": 2}
    study = [member("delay_line", 1, units=units, **values) for units in (5, 6, 8)]
    shared = train(study, NATIVE)
    alone = [train([one], NATIVE)[0] for one in study]
    assert [found.program_units for found in shared] == [8, 8, 8]
    assert [found.program_units for found in alone] == [5, 6, 8]
    for one, other in zip(shared, alone, strict=True):
        assert one.status == "solved"
        assert verdict(one) == verdict(other)
        np.testing.assert_allclose(vector(one), vector(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("engine", "budget", "cell", "widths"),
    [
        (NATIVE, 200, "lstm", [8]),
        (NATIVE, 10**8, "lstm", [*range(1, 9)]),
        (ONE, 200, "lstm", [*range(1, 9)]),
        (NATIVE, 200, "GRUCell", [8]),
        (NATIVE, 200, "SimpleCell", [*range(1, 9)]),
    ],
)
def test_widths_in_c_share_a_program_where_padding_costs_less_than_compiling_another_one(
    engine, budget, cell, widths
):
    study = [
        member("delay_line", lag, units=units, cell=cell, budget=budget)
        for lag in (1, 4)
        for units in range(1, 9)
    ]
    assert (
        sorted(size_of(program).units for program in programs(study, engine)) == widths
    )


def test_members_that_may_come_and_those_that_were_trained_decide_a_program_too():
    study = [member("delay_line", 1, units=units) for units in (2, 3, 9)]
    for engine, width in ((NATIVE, 9), (ONE, 2)):
        for more in ({"candidates": study}, {"study": study}):
            (program,) = Queue(study[:1], engine, **more).programs_to_compile()
            assert size_of(program).units == width


@pytest.mark.breadth
@needs_native
def test_a_second_process_trains_by_what_the_first_one_compiled(tmp_path):
    """XLA's cache holds calls of the library, which must be known before they are loaded."""
    command = ["-P", "-m", "memcap", "train", "task=latch", "model.units=1", *TINY]
    command += ["engine.workers=1", "engine.loop=native"]
    cache = tmp_path / "cache"
    environment = {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(cache)}
    rows = []
    for name in ("first", "second"):
        done = python(tmp_path, *command, f"out={name}", **environment)
        assert done.returncode == 0, done.stderr
        rows.append(store.read(tmp_path / name))
    assert rows[0].select("kernel", "loop").row(0) == ("native", "native")
    same = pl.exclude("compile_seconds", "run_seconds", "population", "finished")
    assert rows[0].select(same).equals(rows[1].select(same))
    libraries = [path.suffix for path in (cache / "memcap" / "native").iterdir()]
    assert sorted(libraries) == [".so", ".tested"]


def test_what_is_joined_to_a_program_costs_less_than_it_saves():
    """And the next narrower width would not, so that no program more is made than pays."""
    specs = [TrainSpec.of(member("delay_line", 4, units=u)) for u in range(1, 65)]
    found = shared_programs(dict.fromkeys(specs, 40_000), SECONDS_A_WEIGHT)

    def wasted(spec, program):
        weights = program.architecture.parameters() - spec.architecture.parameters()
        return 40_000 * weights * SECONDS_A_WEIGHT

    for spec, program in found.items():
        assert found[program] == program
        assert 0 <= wasted(spec, program) <= SECONDS_A_PROGRAM
    for narrower, spec in pairwise(specs):
        if found[narrower] != found[spec]:
            assert wasted(narrower, found[spec]) > SECONDS_A_PROGRAM
    assert 1 < len(set(found.values())) < 64
