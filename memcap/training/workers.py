"""A worker in a process of its own, as its parent sees it: it asks for members, hands in results, and
beats."""

import math
import subprocess
import sys
import threading
import time

import jax

from memcap.processes import start
from memcap.training.line import Line
from memcap.training.queue import LocalClient

SETTINGS = (  # what a worker takes over from the process that starts it
    "jax_compilation_cache_dir",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_platforms",
    "jax_threefry_partitionable",
)
SILENCE = 60.0  # seconds without a beat after which a worker hangs, or was stopped
BEATS = 30  # that fit into as many seconds
MAIN = (  # as in memcap/cli.py: what is imported stays
    "import gc; gc.disable(); from memcap.training import line; ours = line.opened(); from memcap.training"
    " import remote; "
    "gc.freeze(); gc.enable(); remote.main(ours)"
)


class Worker:
    """A worker's process, started as the object is made.

    What it prints, wherever it prints it, is passed on to stderr once it has asked for something. One that
    can't even start, and its successors, would say the same many times: of those only the last line is kept.
    """

    def __init__(self) -> None:
        one_thread = {"PJRT_NPROC": "1"}  # of XLA's, for one core's worker
        self.process, self.connection = start(
            MAIN, str(SILENCE / BEATS), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, defaults=one_thread
        )
        self.line = Line(self.connection)
        self.heard = time.monotonic()  # when it was last heard of; infinite while its call is answered
        self.asked = False
        self.hung = False
        self.last_line = ""
        self.held_back: list[str] = []
        self.printed = threading.Lock()
        self.reader = threading.Thread(target=self._read, name="memcap-words", daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.last_line = text.strip() or self.last_line
            self._pass_on([text])

    def _pass_on(self, lines: list[str]) -> None:
        with self.printed:
            self.held_back += lines
            if self.asked:
                print("".join(self.held_back), end="", file=sys.stderr, flush=True)
                self.held_back.clear()

    def serve(self, client: LocalClient) -> None:
        """Answer its calls until all is done.

        Raises:
            DiedError: the process is gone.
            RuntimeError: an error in the worker, with its traceback.
        """
        self.line.send({name: jax.config.values[name] for name in SETTINGS})
        while (call := self._heard()) is not None:
            name, arguments, answers = call
            if name == "beat":
                continue
            if not self.asked:
                self.asked = True
                self._pass_on([])
            if name == "failed":
                raise RuntimeError(f"a worker failed\n{arguments[0]}")
            self.heard = math.inf  # it waits for us
            result = getattr(client, name)(*arguments)
            self.heard = time.monotonic()
            if answers:
                self.line.send(result)

    def _heard(self) -> tuple | None:
        call = self.line.receive()
        self.heard = time.monotonic()
        return call

    def look(self) -> None:
        """Kill it if it hangs; `serve` then finds it dead."""
        if time.monotonic() - self.heard > SILENCE:
            self.hung = True
            self.kill()

    def kill(self) -> None:
        """End the process."""
        self.process.kill()

    def epitaph(self) -> str:
        """Of one that is dead: how it ended, and what it printed last."""
        self.reader.join(5)  # at most, as somebody may have inherited its stderr
        how = (
            f"said nothing for {SILENCE:g} s and was killed"
            if self.hung
            else f"died (status {self.process.wait()})"
        )
        return how + (f', its last line: "{self.last_line}"' if self.last_line else "")

    def close(self) -> None:
        """End the process and close what leads to it."""
        self.kill()
        self.process.wait()
        self.connection.close()
        self.reader.join(5)
        if not self.reader.is_alive() and self.process.stdout is not None:
            self.process.stdout.close()
