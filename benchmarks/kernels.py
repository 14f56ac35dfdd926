"""Seconds a training step by XLA's loop and by the LSTM in C (`engine.loop`), from 2 units to 64, one
core, in turn."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from benchmarks import gate, step
from benchmarks.peers import CONTESTANTS, OURS, installed
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.protocol import TINY, Plan
from benchmarks.runner import Outcome, one_core
from benchmarks.workloads import EVERY, LAST

PEERS = ()
WIDTHS = (2, 4, 8, 16, 32, 64)
LONG = replace(
    EVERY,
    key="long",
    title="Answered at every step, long: a delay line of lag 50",
    lag=50,
    steps=200,
    batch=32,
)
WORKLOADS = tuple(replace(each, units=WIDTHS) for each in (LAST, EVERY, LONG))

add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Check, time."""
    workloads, plan, environment = WORKLOADS, Plan(), NO_CACHE
    if arguments.tiny:
        workloads, plan, environment = (
            (replace(LAST, units=LAST.units[:1], batch=16),),
            TINY,
            NO_CACHE | HASTE,
        )
    names = installed(OURS)
    if missing := CONTESTANTS["native"].missing:
        raise SystemExit(f"nothing to compare with: the native kernel needs {', '.join(missing)}")
    try:
        measured = step.measure(names, workloads, plan, arguments.core, environment)
    except gate.GateError as error:
        raise SystemExit(str(error)) from None
    page = step.page(measured, workloads, plan, facts, "A training step under both kernels")
    return Outcome(page, {"plan": asdict(plan), **asdict(measured)})
