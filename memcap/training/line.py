"""The worker's end of its connection. It is there before JAX is: a worker says that it lives while it still
imports."""

import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from memcap.processes import connected


class DiedError(Exception):
    """The process at the other end of the connection ended without a word, as one that was killed does."""


class Line:
    """One end of a connection of its own, so that nothing that is printed comes between the messages;
    thread-safe to send."""

    def __init__(self, connection: Connection):
        self.connection, self.lock = connection, threading.Lock()

    def send(self, value: Any) -> None:
        """Send one value.

        Raises:
            DiedError: nobody is there.
        """
        try:
            with self.lock:
                self.connection.send(value)
        except OSError as error:
            raise DiedError from error

    def receive(self) -> Any:
        """Wait for a value.

        Raises:
            DiedError: nobody is there.
        """
        try:
            return self.connection.recv()
        except (EOFError, OSError) as error:
            raise DiedError from error


def opened() -> Line:
    """In a worker: the line to its parent, named in the arguments with the seconds between beats. Beats
    begin."""
    line = Line(connected())
    threading.Thread(target=_beat, args=(line, float(sys.argv[2]), os.getppid()), daemon=True).start()
    return line


def _beat(line: Line, seconds: float, parent: int) -> None:
    """Say now and then that this process lives: programs run without Python's lock. End it soon after its
    parent."""
    while os.getppid() == parent:
        try:
            line.send(("beat", (), False))
        except DiedError:
            break
        time.sleep(seconds)
    os._exit(1)
