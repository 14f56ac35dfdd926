"""The script of one peer of the study benchmark: one process, a loop over the runs, one
model a run.

`python -m benchmarks.loop CONTESTANT PLAN`, the plan being JSON, prints one line of
JSON: seconds by phase. Nothing of memcap is imported, and no other's library for
anyone.
"""

import json
import pkgutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.peers import CONTESTANTS
from benchmarks.peers.base import CLIP, LR, Batches, Shape

# of memcap's latch
SYMBOLS = 2
DISTRACTORS = 4
COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)


@dataclass(frozen=True)
class StudyPlan:
    """The runs of the study: every length T with every width U and seed; the latch's
    lag is T - 2."""

    lengths: tuple[int, ...] = (10, 25, 50)
    units: tuple[int, ...] = (8, 16, 32)
    seeds: int = 2
    steps: int = 200
    batch: int = 128

    @property
    def runs(self) -> list[tuple[int, int, int]]:
        """(T, U, seed) of each."""
        return [
            (t, u, s)
            for t in self.lengths
            for u in self.units
            for s in range(self.seeds)
        ]

    def shape(self, length: int, units: int) -> Shape:
        """Return the shape that is trained."""
        return Shape(
            units, SYMBOLS + DISTRACTORS + 1, SYMBOLS, length, self.batch, every=False
        )


class Phases:
    """Seconds by phase; none counts twice."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(
            ("import", "data", "build", "compile", "train"), 0.0
        )
        self.now = "build"

    @contextmanager
    def __call__(self, phase: str) -> Generator[None]:
        """Count what runs inside as this phase."""
        self.now = phase
        start = time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - start

    def compiled(self, event: str, seconds: float, **_: object) -> None:
        """Listen to JAX: take lowering, and compiling or reading the cache, out of their phase."""
        if event in COMPILING:
            self.seconds["compile"] += seconds
            self.seconds[self.now] -= seconds


def latch(steps: int, length: int, batch: int, seed: int) -> Batches:
    """Draw batches of memcap's latch at lag T - 2 by NumPy: a symbol, distractors, the trigger."""
    rng = np.random.default_rng(seed)
    symbol = rng.integers(SYMBOLS, size=(steps, batch), dtype=np.int32)
    inputs = rng.integers(
        SYMBOLS, SYMBOLS + DISTRACTORS, size=(steps, length, batch), dtype=np.int32
    )
    inputs[:, 0] = symbol
    inputs[:, -1] = SYMBOLS + DISTRACTORS
    return Batches(inputs, symbol, None)


def peers(name: str, plan: StudyPlan) -> dict[str, float]:
    """Train another library's study."""
    phases = Phases()
    with phases("import"):
        cls = pkgutil.resolve_name(CONTESTANTS[name].target)
    if "jax" in sys.modules:
        sys.modules["jax"].monitoring.register_event_duration_secs_listener(
            phases.compiled
        )
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


def overrides(plan: StudyPlan) -> list[str]:
    """Return the study as words of `memcap train`. It evaluates at the end alone:
    nothing stops early."""
    lags = [length - 2 for length in plan.lengths]
    axes = f"{{task.lag: {lags}, model.units: {list(plan.units)}, seed: {plan.seeds}}}"
    recipe = (
        f"recipe=forget_bias recipe.lr={LR} recipe.schedule=constant recipe.clip={CLIP}"
    )
    sizes = f"recipe.batch={plan.batch} recipe.budget={plan.steps} evaluation.every={plan.steps}"
    return [
        "task=latch",
        f"axes={axes}",
        *recipe.split(),
        *sizes.split(),
        "engine.workers=1",
    ]


def main(name: str, plan: str) -> None:
    """Run one contestant's script."""
    values = json.loads(plan)
    made = StudyPlan(
        **values | {field: tuple(values[field]) for field in ("lengths", "units")}
    )
    print(json.dumps(peers(name, made)))


def arguments(name: str, plan: StudyPlan) -> list[str]:
    """Return the command of a contestant's script."""
    return [sys.executable, "-m", "benchmarks.loop", name, json.dumps(asdict(plan))]


if __name__ == "__main__":
    main(*sys.argv[1:])
