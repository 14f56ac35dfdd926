"""A Python process beside the one that starts it, and the connection between the two.

Not `multiprocessing`'s processes: those would run a user's script again in every child unless the script
guards against it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO


def start(
    code: str,
    *arguments: str,
    stdout: int,
    stderr: int | IO[bytes],
    defaults: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[str], Connection]:
    """Start Python on some code, with our import path, in a session of its own: Ctrl-C is for the process
    that starts it.

    Args:
        code: what it runs.
        arguments: its `sys.argv[2:]`; the first one is for `connected`.
        stdout, stderr: as `subprocess.Popen` takes them.
        defaults: environment variables that ours may overrule.
    """
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            # -P: import nothing from here; -u: what is printed comes at once
            [sys.executable, "-P", "-u", "-c", code, str(theirs.fileno()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[theirs.fileno()],
            env={**(defaults or {}), **os.environ, "PYTHONPATH": path},
            start_new_session=True,
            text=True,
            errors="replace",
        )
    return process, ours


def connected() -> Connection:
    """In the process that was started: its end of the connection, which no child of its own inherits."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)
