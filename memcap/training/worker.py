"""A worker in a process of its own, which asks for members over its standard input and output.

Not `multiprocessing`: that would run a user's script again in every worker unless the script guards against it.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import IO, Any

import jax

from memcap.config import Member
from memcap.training.population import Chunk, Result, work
from memcap.training.program import Program
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


class DiedError(Exception):
    """The process at the other end of the pipe ended without a word, as one that was killed does."""


def start() -> subprocess.Popen:
    """Start a worker's process."""
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    environment = {"PJRT_NPROC": "1", **os.environ, "PYTHONPATH": path}  # one core's worker needs one thread of XLA's
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from memcap.training.worker import main; main()"],  # -P: import nothing from here
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the process that started it
    )


def close(process: subprocess.Popen) -> None:
    """Close the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with contextlib.suppress(OSError):  # what was never read
            pipe.close()


def serve(process: subprocess.Popen, client: LocalClient) -> None:
    """Answer a worker's calls until all is done.

    Raises:
        DiedError: the process is gone.
        RuntimeError: an error in the worker, with its traceback; or it was gone before it asked for anything.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    calls = 0
    try:
        _send(process.stdin, {name: jax.config.values[name] for name in SETTINGS})
        while (call := _receive(process.stdout)) is not None:
            name, arguments, answers = call
            calls += 1
            if name == "failed":
                raise RuntimeError(f"a worker failed\n{arguments[0]}")
            result = getattr(client, name)(*arguments)
            if answers:
                _send(process.stdin, result)
    except DiedError as error:
        if not calls and client.going():
            raise RuntimeError(f"a worker could not start (status {process.wait()})") from error
        raise


def _receive(pipe: IO[bytes]) -> Any:
    try:
        return pickle.load(pipe)
    except (EOFError, OSError, pickle.UnpicklingError) as error:
        raise DiedError from error


def _send(pipe: IO[bytes], value: Any) -> None:
    try:
        pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
        pipe.flush()
    except OSError as error:
        raise DiedError from error


class PipeClient:
    """The side of the queue that a worker in a process of its own sees: what the parent's `LocalClient` answers."""

    def __init__(self, receive: IO[bytes], send: IO[bytes]):
        self.receive, self.send = receive, send

    def _ask(self, name: str, *arguments: Any) -> Any:
        _send(self.send, (name, arguments, True))
        return _receive(self.receive)

    def _tell(self, name: str, *arguments: Any) -> None:
        _send(self.send, (name, arguments, False))

    def going(self) -> bool:
        """See `QueueClient`."""
        return True  # the parent ends the process

    def claim(self) -> Program | None:
        """See `QueueClient`."""
        return self._ask("claim")

    def take(self, program: Program, most: int) -> list[Member]:
        """See `QueueClient`."""
        return self._ask("take", program, most)

    def curve(self, chunk: Chunk) -> None:
        """See `QueueClient`."""
        self._tell("curve", chunk)

    def ended(self, program: Program, results: Sequence[Result]) -> None:
        """See `QueueClient`."""
        self._tell("ended", program, results)


def main() -> None:
    """The worker's process."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    receive, send = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anyone prints goes to stderr, not between the messages
    remote = PipeClient(receive, send)
    try:
        for name, value in _receive(receive).items():
            jax.config.update(name, value)
        work(remote)
        _send(send, None)
    except DiedError:
        pass  # the parent is gone
    except Exception:
        remote._tell("failed", traceback.format_exc())


def _end_with(parent: int) -> None:
    """End this process soon after its parent, whatever that died of and however long the chunk in hand would take."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
