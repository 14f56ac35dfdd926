"""Moving code changes no program: digests of the StableHLO of training and evaluating,
lowered and not compiled.

    python -m tests.test_programs                               writes those of this jax into
                                                                programs.json
    python -m tests.test_programs latch-lstm-while-1_lane       prints a program, to compare
                                                                with an older
    version's

Names of functions, operands and files are left out, so that renaming and moving code
changes no digest. Where a program is meant to change, write the digests anew, with each
jax that the file knows, and see in its diff that no other program has changed.
"""

import hashlib
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import jax
import pytest

import memcap

FILE = Path(__file__).with_name("programs.json")
KNOWN = json.loads(FILE.read_text()) if FILE.exists() else {}
SEQUENCES = str(Path(__file__).parent / "tasks" / "sequences.npz")


def lowered(lanes, loop, **axes):
    """The StableHLO of training a chunk, and of an evaluation. All that this file knows
    of memcap's inside is here.

    Args:
        lanes: members in flight.
        loop: while, masked, associative, plain, or native. The last one's library is a
            stand-in: the real one needs a compiler, and its buffers differ between
            processors.
        axes: of `memcap.members`, of one member.
    """
    from dataclasses import replace

    from memcap.cells import cell_class
    from memcap.cells.diagonal import DiagonalCell
    from memcap.loops.gated_native import GatedC
    from memcap.runtime import jax_setup
    from memcap.training.program import Program

    (member,) = memcap.members(**axes)
    if loop == "masked" and issubclass(cell_class(member.model.cell), DiagonalCell):
        loop = (  # what runs these side by side, which goes by the name of all others' here
            "associative"
        )
    engine = memcap.Engine(loop=loop)
    handle = dict.fromkeys(
        ("memcap_lstm_size", "memcap_gru_size"), lambda *sizes: 1000 + sizes[0]
    )
    library = SimpleNamespace(target=str, handle=SimpleNamespace(**handle))
    stand_in = patch.multiple(GatedC, library=lambda _: library, missing=lambda _: None)
    with stand_in, jax_setup.precision():
        program = replace(Program.of(member, engine), lanes=lanes)
        trainer = program.trainer
        state, operands, evaluation = program.example()
        # Functions of this call alone, as JAX would find an equal trainer's trace
        # again, with another library in it.
        train = jax.jit(
            program.map_over_lanes(lambda *arguments: trainer.train_chunk(*arguments)),
            donate_argnums=0,
        )
        evaluate = jax.jit(
            program.map_over_lanes(lambda *arguments: trainer.evaluate(*arguments))
        )
        traced = train.trace(state, operands), evaluate.trace(state.params, evaluation)
        return tuple(
            each.lower(lowering_platforms=("cpu",)).as_text() for each in traced
        )


def tasks():
    """Of each task the knobs that it needs; of a count those of before it had a scale."""
    from memcap.tasks import task_classes

    knobs = {"data": {"file": SEQUENCES, "lag": 8}, "count": {"scale": None}}
    return {name: knobs.get(name, {}) for name in task_classes()}


def programs():
    """What is lowered, by its name in words: task, cell, loop, lanes, and what else is unusual."""
    from memcap.cells import cell_classes
    from memcap.loops.chunk_terms import owner_of

    found = {}

    def add(task, cell="lstm", loop="while", lanes=1, recipe=None, more="", **axes):
        name = "-".join(
            filter(
                None,
                [task, cell, loop, "1_lane" if lanes == 1 else f"{lanes}_lanes", more],
            )
        )
        recipe = recipe or ("forget_bias" if cell.startswith("lstm") else "own_start")
        axes = {"task": task, "cell": cell, "recipe": recipe} | tasks()[task] | axes
        found[name] = {"loop": loop, "lanes": lanes} | axes

    for task in tasks():
        add(task)
    # a delay line answers at every step; windows has windows, and keeps the carry between them
    for cell in cell_classes():
        add("delay_line", cell)
        add("windows", cell)
        add("delay_line", cell, "masked", 4)
        if owner_of(cell_classes()[cell]):
            add("delay_line", cell, "associative", 4)
    for cell in ("GRUCell", "LRU", "minGRU"):  # a latch answers at the last step
        add("latch", cell)
    for cell in ("lstm", "GRUCell", "LRU"):
        for suffix in ("+bfloat16", "+noise0.1", "+carry"):
            add("delay_line", cell + suffix)
    for cell in ("lstm", "LRU"):
        add("latch", cell, "masked", 4)
        add("delay_line", cell, "plain")
    for loop in ("masked", "plain"):
        add("windows", loop=loop)
    add("delay_line", "lstm+noise0.1", "masked", 4)
    for task in ("latch", "delay_line", "adding"):  # adding's inputs are real numbers
        add(task, loop="native")
    add("delay_line", "GRUCell", "native")
    for loop, lanes in (("while", 1), ("masked", 4), ("native", 1)):
        add("delay_line", "lstm", loop, lanes, "curriculum", more="curriculum")
        add("latch", "lstm", loop, lanes, readout="lstm", more="lstm_readout")
        add("delay_line", "lstm", loop, lanes, layers=2, more="2_layers")
    add("latch", "OptimizedLSTMCell", recipe="descent", more="sgd")
    add("latch", recipe="hold", schedule="cosine", warmup=10, more="cosine")
    add("latch", lanes=4)
    add("latch", optimizer="adamw", decay=0.1, more="adamw")
    add("parity", lags="uniform", more="uniform")
    return found


PROGRAMS = programs()


def normal(text):
    """A program without what moving code changes: locations, names of operands, and
    names of functions but for C's."""
    names = {}
    text = re.sub(
        r'loc\((?:[^()"]|"[^"]*"|\([^()]*\))*\)|^#loc.*\n|jax\.(?:result|arg)_info ='
        r' "[^"]*"',
        "",
        text,
        flags=re.M,
    )
    return re.sub(
        r"(?<!custom_call )@[\w.$]+",
        lambda name: names.setdefault(name[0], f"@{len(names)}"),
        text,
    )


@cache
def digest(name):
    """16 hex digits of training, and of an evaluation."""
    return " ".join(
        hashlib.sha256(normal(text).encode()).hexdigest()[:16]
        for text in lowered(**PROGRAMS[name])
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_what_it_was(name):
    if jax.__version__ not in KNOWN:
        pytest.skip(
            f"programs.json has no digests of jax {jax.__version__}: python -m"
            " tests.test_programs writes them"
        )
    if name not in KNOWN[jax.__version__]:  # of a new task or cell
        pytest.skip(
            f"{name} has no digest yet: python -m tests.test_programs writes it"
        )
    train, evaluate = digest(name).split()
    train_then, evaluate_then = KNOWN[jax.__version__][name].split()
    assert train == train_then, (
        f"{name}: training is another program on jax {jax.__version__}"
    )
    assert evaluate == evaluate_then, (
        f"{name}: an evaluation is another program on jax {jax.__version__}"
    )


def test_every_digest_is_of_a_program():
    for version, digests in KNOWN.items():
        assert set(digests) <= set(PROGRAMS), version
        assert len(digests) >= 70


if __name__ == "__main__":
    for program in sys.argv[1:]:
        print(*map(normal, lowered(**PROGRAMS[program])), sep="\n")
    if not sys.argv[1:]:
        KNOWN[jax.__version__] = {name: digest(name) for name in sorted(PROGRAMS)}
        FILE.write_text(json.dumps(KNOWN, indent=1, sort_keys=True) + "\n")
