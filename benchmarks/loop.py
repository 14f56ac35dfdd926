"""The script of one contestant of the study benchmark: one process, a loop over the runs, one model a run.

`python -m benchmarks.loop CONTESTANT PLAN`, the plan being JSON, prints one line of JSON: seconds by phase.
`engine` is memcap's own engine in one process, called as a library, `engine-native` the same with the LSTM in
C, `workers` with a worker a core; `vmap` is Flax linen with the seeds of a shape side by side. Nothing of
memcap is imported for the others, and no other's library for anyone.
"""

import json
import pkgutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.peers import CONTESTANTS
from benchmarks.peers.base import CLIP, LR, Batches, Shape

SYMBOLS, DISTRACTORS = 2, 4  # of memcap's latch
COMPILING = ("/jax/core/compile/jaxpr_to_mlir_module_duration", "/jax/core/compile/backend_compile_duration")


@dataclass(frozen=True)
class StudyPlan:
    """The runs of the study: every length with every width and seed.

    Args:
        lengths: T of the sequences; the latch's lag is T - 2.
        units: widths U.
        seeds: how many.
        steps: training steps a run; nothing stops earlier.
        batch: sequences B a step.
    """

    lengths: tuple[int, ...] = (10, 25, 50)
    units: tuple[int, ...] = (8, 16, 32)
    seeds: int = 2
    steps: int = 200
    batch: int = 128

    @property
    def runs(self) -> list[tuple[int, int, int]]:
        """(T, U, seed) of each."""
        return [(t, u, s) for t in self.lengths for u in self.units for s in range(self.seeds)]

    def shape(self, length: int, units: int) -> Shape:
        """What is trained."""
        return Shape(units, SYMBOLS + DISTRACTORS + 1, SYMBOLS, length, self.batch, every=False)


class Phases:
    """Seconds by phase; none counts twice."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("import", "data", "build", "compile", "train"), 0.0)
        self.now = "build"

    @contextmanager
    def __call__(self, phase: str) -> Generator[None]:
        """What runs inside counts as this phase."""
        self.now, start = phase, time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - start

    def compiled(self, event: str, seconds: float, **_: object) -> None:
        """A listener of JAX's: lowering, and compiling or reading the cache, are taken out of the phase they
        happen in."""
        if event in COMPILING:
            self.seconds["compile"] += seconds
            self.seconds[self.now] -= seconds


def latch(steps: int, length: int, batch: int, seed: int) -> Batches:
    """As many batches of memcap's latch at lag T - 2, drawn by NumPy: a symbol, distractors, the trigger."""
    rng = np.random.default_rng(seed)
    symbol = rng.integers(SYMBOLS, size=(steps, batch), dtype=np.int32)
    inputs = rng.integers(SYMBOLS, SYMBOLS + DISTRACTORS, size=(steps, length, batch), dtype=np.int32)
    inputs[:, 0], inputs[:, -1] = symbol, SYMBOLS + DISTRACTORS
    return Batches(inputs, symbol, None)


def peers(name: str, plan: StudyPlan) -> dict[str, float]:
    """Another library's study."""
    phases = Phases()
    with phases("import"):
        cls = pkgutil.resolve_name(CONTESTANTS[name].target)
    if "jax" in sys.modules:
        sys.modules["jax"].monitoring.register_event_duration_secs_listener(phases.compiled)
    for length, units, seed in plan.runs:
        with phases("data"):
            batches = latch(plan.steps, length, plan.batch, seed)
        with phases("build"):
            peer = cls(plan.shape(length, units), LR, CLIP, seed)
        with phases("data"):
            peer.load(batches)
        with phases("train"):
            peer.run(plan.steps)
    return phases.seconds


def side_by_side(plan: StudyPlan) -> dict[str, float]:
    """The study by Flax linen, a program for every length and width, in which all seeds train under
    `vmap`."""
    phases = Phases()
    with phases("import"):
        import jax

        from benchmarks.peers.linen import Linen
        from benchmarks.peers.optax_loop import SideBySide
    jax.monitoring.register_event_duration_secs_listener(phases.compiled)
    seeds = range(plan.seeds)
    for length, units in product(plan.lengths, plan.units):
        with phases("data"):
            batches = [latch(plan.steps, length, plan.batch, seed) for seed in seeds]
        with phases("build"):
            runs = SideBySide(Linen(plan.shape(length, units), LR, CLIP, seed=0), seeds)
        with phases("data"):
            runs.load(batches)
        with phases("train"):
            runs.run(plan.steps)
    return phases.seconds


def overrides(plan: StudyPlan) -> list[str]:
    """The study as arguments of `memcap train`. Its only evaluation is at the end of the budget, so nothing
    stops earlier."""
    axes = (
        f"{{task.lag: {[t - 2 for t in plan.lengths]}, model.units: {list(plan.units)}, seed: {plan.seeds}}}"
    )
    recipe = (
        f"recipe=forget_bias recipe.lr={LR} recipe.schedule=constant recipe.clip={CLIP}"
        f" recipe.batch={plan.batch}"
    )
    budget = f"recipe.budget={plan.steps} evaluation.every={plan.steps}"
    return ["task=latch", f"axes={axes}", *recipe.split(), *budget.split(), "engine.workers=1"]


def engine(plan: StudyPlan, **settings: Any) -> dict[str, float]:
    """memcap's study as a script: no command line, no Hydra, no rows and no figure. `settings` are those of
    `engine`."""
    phases = Phases()
    with phases("import"):
        from memcap.runtime import jax_setup

        jax_setup.setup()
        from memcap.config import Engine, resolve
        from memcap.training.engine import train
    recipe = {
        "name": "forget_bias",
        "lr": LR,
        "schedule": "constant",
        "clip": CLIP,
        "batch": plan.batch,
        "budget": plan.steps,
    }
    members = [
        resolve(
            {
                "task": {"name": "latch", "lag": length - 2},
                "model": {"units": units},
                "recipe": recipe,
                "evaluation": {"every": plan.steps},
                "seed": seed,
            }
        )
        for length, units, seed in plan.runs
    ]
    ended = train(members, Engine(**{"workers": 1, "loop": "reproducible"} | settings))
    assert all(each.steps == plan.steps for each in ended)
    phases.seconds["compile"] = sum(
        {(each.program_units, each.program_steps): each.compile_seconds for each in ended}.values()
    )
    phases.seconds["train"] = sum(each.run_seconds for each in ended)
    return phases.seconds


def main(name: str, plan: str) -> None:
    """Run one contestant's script."""
    values = json.loads(plan)
    made = StudyPlan(**values | {field: tuple(values[field]) for field in ("lengths", "units")})
    scripts = {
        "engine": engine,
        "engine-native": partial(engine, loop="native"),
        "workers": partial(engine, workers=0),
        "vmap": side_by_side,
    }
    print(json.dumps(scripts.get(name, partial(peers, name))(made)))


def arguments(name: str, plan: StudyPlan) -> list[str]:
    """The command of a contestant's script."""
    return [sys.executable, "-m", "benchmarks.loop", name, json.dumps(asdict(plan))]


if __name__ == "__main__":
    main(*sys.argv[1:])
