"""The process of one contestant: it answers calls on an object of its own, one at a time.

`python -m benchmarks.worker MODULE:CLASS [CORE]`. Requests come by stdin as pickled (method, arguments). The method "build" makes
the object, "about" tells of the process, every other is one of the object's own. A reply is (seconds by the wall, seconds
of CPU time, result, error). What libraries print goes to stderr, never between the replies.
"""

import importlib
import os
import pickle
import sys
import time
import traceback
from typing import Any


def pin(core: int | None) -> None:
    """Keep this process, and the thread pools that it will start, to one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def about() -> dict[str, Any]:
    """The flags and the cores that the libraries in this process have found."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), "cores": cores}


def serve(target: str, core: int | None) -> None:
    """Answer until the driver closes the pipe."""
    pin(core)  # before the libraries are imported: they size their thread pools by it
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    contestant = None
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        start, start_cpu = time.perf_counter(), time.process_time()
        result = error = None
        try:
            if method == "build":
                contestant = None  # free the one before
                contestant = getattr(importlib.import_module(module), name)(*arguments)
            elif method == "about":
                result = about()
            else:
                result = getattr(contestant, method)(*arguments)
        except Exception:
            error = traceback.format_exc()
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        pickle.dump((seconds, cpu, result, error), replies)
        replies.flush()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
