"""What stands for a benchmark's processes in this one: each of its own takes seconds to import and to
compile."""

import contextlib
import io
import pkgutil
import runpy
import sys
import time
from typing import Any

import pytest
from command import memcap

from benchmarks.process import ProgramError, Ran
from benchmarks.worker import Seconds


class Here:
    """Stands for `benchmarks.worker.Worker`; test_protocol.py has the real one, and test_step.py runs a
    benchmark with it."""

    def __init__(self, target: str, core: int | None, environment: Any = None):
        self.kind, self.made = pkgutil.resolve_name(target), None

    def call(self, method: str, *arguments: Any) -> Any:
        if method == "build":
            self.made = self.kind(*arguments)
            return None
        return getattr(self.made, method)(*arguments)

    def timed(self, method: str, *arguments: Any) -> Seconds:
        began, busy = time.perf_counter(), time.process_time()
        self.call(method, *arguments)
        return Seconds(time.perf_counter() - began, time.process_time() - busy)

    def __enter__(self) -> "Here":
        return self

    def close(self) -> None:
        self.made = None

    def __exit__(self, *_: object) -> None:
        self.close()


def run_here(arguments: list[str], core: int | None, environment: Any) -> Ran:
    """Stands for `benchmarks.process.run`: `python -m MODULE ...`, memcap with one worker; test_study.py runs
    the real one."""
    _, m, module, *words = arguments
    assert m == "-m"
    began, busy = time.perf_counter(), time.process_time()
    if module == "memcap":
        done = memcap(".", *words, "engine.workers=1")
        if done.status:
            raise ProgramError(done.err)
        said = done.out
    else:
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
            patch.setattr(sys, "argv", [module, *words])
            patch.delitem(sys.modules, module, raising=False)
            runpy.run_module(module, run_name="__main__")
        said = output.getvalue()
    return Ran(time.perf_counter() - began, time.process_time() - busy, said)
