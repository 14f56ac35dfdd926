"""Worker processes, from both ends: started, sending heartbeats, training, replaced.

Without `multiprocessing`, which would run a user's script again in every worker, and
without fork, which JAX's threads forbid. Only `worker_main` imports JAX, so that
heartbeats come meanwhile.
"""

import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, cast

from memcap.runtime import flags, jax_setup

if TYPE_CHECKING:  # it imports JAX
    from memcap.training.queue import Queue

MAIN = "from memcap.training.workers import worker_main; worker_main()"
# A worker has one thread; set PJRT_NPROC in our own environment to overrule it.
ENVIRONMENT = {jax_setup.THREADS: "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
# seconds of silence after which a worker counts as hung or stopped
HEARTBEAT_TIMEOUT = 60.0
HEARTBEATS = 30  # in that time
# Calls of a `Queue` for whose answer a worker waits; after any other it goes on at once.
ANSWERED = ("claim_program", "take_members", "load_checkpoints")


class PeerDiedError(Exception):
    """The process at the other end of a pipe has ended without a word."""


class Pipe:
    """One end of a connection for messages alone; sending is thread-safe."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.lock = threading.Lock()

    def send(self, value: Any) -> None:
        """Send one value; raise PeerDiedError if nobody is there."""
        try:
            with self.lock:
                self.connection.send(value)
        except OSError as error:
            raise PeerDiedError from error

    def receive(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError) as error:
            raise PeerDiedError from error


# Start


def spawn(
    code: str, *arguments: str, **environment: str
) -> tuple[subprocess.Popen[str], Connection]:
    """Start Python on some code, in a session of its own, so that Ctrl-C spares it.

    The arguments are its `sys.argv[2:]`; the first one is for `parent_pipe`. Return the
    process, whose `stdout` has all that it prints, and our end of the connection.
    """
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        process = subprocess.Popen(
            # -P: import nothing from this folder; -u: do not buffer what is printed
            [sys.executable, "-P", "-u", "-c", code, str(theirs.fileno()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            env={**ENVIRONMENT, **os.environ, **environment, "PYTHONPATH": path},
            start_new_session=True,
            text=True,
            errors="replace",
        )
    return process, ours


# The worker's end


def parent_pipe() -> Pipe:
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    return Pipe(Connection(descriptor))


def worker_main() -> None:
    pipe = parent_pipe()
    beat = (pipe, float(sys.argv[2]), os.getppid())
    threading.Thread(target=_send_heartbeats, args=beat, daemon=True).start()
    from memcap.training.train_loop import run_worker

    try:
        settings, checkpoint_after, number = pipe.receive()
        jax_setup.apply_settings(settings)
        run_worker(cast("Queue", RemoteQueue(pipe, checkpoint_after)), number)
        pipe.send(None)
    except PeerDiedError:
        pass  # the parent is gone
    except Exception:
        pipe.send(("error", (traceback.format_exc(),)))


def _send_heartbeats(pipe: Pipe, seconds: float, parent: int) -> None:
    """Send heartbeats, also while programs run; end with the parent."""
    while os.getppid() == parent:
        try:
            pipe.send(("heartbeat", ()))
        except PeerDiedError:
            break
        time.sleep(seconds)
    os._exit(1)


class RemoteQueue:
    """The parent's queue: every call goes over the pipe by its name."""

    def __init__(self, pipe: Pipe, checkpoint_after: float):
        self._pipe = pipe
        self.checkpoint_after = checkpoint_after

    def should_continue(self) -> bool:
        """Return true: the parent ends this process."""
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        self._pipe.send((name, arguments))
        return self._pipe.receive() if name in ANSWERED else None


# The parent's end


class WorkerProcess:
    """A worker's process as its parent sees it; making the object starts it.

    What it prints goes to stderr from its first call on; before, the last line is kept,
    as failing successors would print the same many times.
    """

    def __init__(self) -> None:
        # not in our own, where JAX was in use without these flags
        xla = {"XLA_FLAGS": flags.complete()}
        seconds = str(HEARTBEAT_TIMEOUT / HEARTBEATS)
        self.process, connection = spawn(MAIN, seconds, **xla)
        self.pipe = Pipe(connection)
        # when it came; infinite while a call is answered
        self.last_message = time.monotonic()
        self.timed_out = False
        self.last_line = ""
        self.buffered: list[str] = []
        self.may_print = False
        self.printing = threading.Lock()
        self.reader = threading.Thread(
            target=self._read, name="memcap-worker-output", daemon=True
        )
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.last_line = text.strip() or self.last_line
            self._print([text])

    def _print(self, lines: list[str]) -> None:
        with self.printing:
            self.buffered += lines
            if self.may_print:
                print("".join(self.buffered), end="", file=sys.stderr, flush=True)
                self.buffered.clear()

    def serve(self, queue: "Queue", number: int) -> None:
        """Answer calls of the worker of this number, until all is done.

        Raises:
            PeerDiedError: the process is gone.
            RuntimeError: an error in the worker, with its traceback.
        """
        settings = jax_setup.worker_settings()
        self.pipe.send((settings, queue.checkpoint_after, number))
        while (call := self._receive()) is not None:
            name, arguments = call
            if name == "heartbeat":
                continue
            if not self.may_print:
                self.may_print = True
                self._print([])
            if name == "error":
                raise RuntimeError(f"a worker failed\n{arguments[0]}")
            self.last_message = math.inf  # the worker waits for us
            answer = getattr(queue, name)(*arguments)
            self.last_message = time.monotonic()
            if name in ANSWERED:
                self.pipe.send(answer)

    def _receive(self) -> tuple[str, tuple[Any, ...]] | None:
        call = self.pipe.receive()
        self.last_message = time.monotonic()
        return call

    def kill_if_hung(self) -> None:
        """Kill it if it has been silent for too long; `serve` then finds it dead."""
        if time.monotonic() - self.last_message > HEARTBEAT_TIMEOUT:
            self.timed_out = True
            self.kill()

    def kill(self) -> None:
        self.process.kill()

    def exit_reason(self) -> str:
        # no longer, as another process may have inherited its stderr
        self.reader.join(5)
        if self.timed_out:
            reason = f"said nothing for {HEARTBEAT_TIMEOUT:g} s and was killed"
        else:
            reason = f"died (status {self.process.wait()})"
        return reason + (
            f', its last line: "{self.last_line}"' if self.last_line else ""
        )

    def close(self) -> None:
        self.kill()
        self.process.wait()
        self.pipe.connection.close()
        self.reader.join(5)
        if not self.reader.is_alive() and self.process.stdout is not None:
            self.process.stdout.close()
