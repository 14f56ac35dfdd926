"""What a job says of itself while it trains, for `memcap status` in another shell.

    DIR/jobs/TOKEN.json     who it is and how far, written aside and renamed every couple of seconds
    DIR/jobs/TOKEN.keys     what it set out to train, written once: a key a line

The rows are the truth; this says who is still at it. A job that was killed leaves its file behind, with the
time when it was last heard of. Reading needs no JAX.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from memcap.studies.files import BadFileError, open_regular

SECONDS = 2.0  # between two beats
SILENCE = 60.0  # without a beat after which a job is taken for gone


@dataclass(frozen=True)
class Running:
    """A member in training.

    Args:
        key, name: of the member.
        step, budget: training steps taken, and how many it may take.
        loss: mean over its last chunk; None if that took no step.
        seconds: since its first chunk.
        left: seconds to its budget, at its pace so far; None if that is not known.
    """

    key: str
    name: str
    step: int
    budget: int
    loss: float | None
    seconds: float
    left: float | None


@dataclass(frozen=True)
class Beat:
    """What a job says.

    Args:
        study, command, folder: what was started, and where; command: None if it was started from Python.
        host, pid: of its process.
        started, heard: seconds since 1970: when it began, and when it wrote this.
        ended: None while it trains, then "done", "interrupted", or the error that ended it.
        searched: whether a design decides as it goes which members are trained.
        done: members that have ended since it began.
        to_come: members that have not, at most.
        running: members in training.
        left: seconds to the end, at the pace so far; None before anything has trained.
        longest: the members that have trained longest.
    """

    study: str
    command: str | None
    folder: str
    host: str
    pid: int
    started: float
    heard: float
    ended: str | None = None
    searched: bool = False
    done: int = 0
    to_come: int = 0
    running: int = 0
    left: float | None = None
    longest: tuple[Running, ...] = ()

    @classmethod
    def first(cls, study: str, command: str | None, searched: bool) -> "Beat":
        """Of this process, as it begins."""
        now = time.time()
        return cls(
            study, command, str(Path.cwd()), socket.gethostname(), os.getpid(), now, now, searched=searched
        )

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this host."""
        return self.host == socket.gethostname()

    @property
    def exists(self) -> bool:
        """Whether there is such a process, as far as can be seen from here."""
        if not self.here:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # somebody else's
            return True
        return True

    @property
    def silent(self) -> float:
        """Seconds since it was last heard of."""
        return max(0.0, time.time() - self.heard)

    @property
    def alive(self) -> bool:
        """Whether it still trains: it has not ended, is there, and was heard of lately."""
        return self.ended is None and self.exists and self.silent < SILENCE


def beats(folder: Path) -> dict[str, Beat]:
    """What the jobs of a study's folder last said, by token; files that cannot be read are passed over."""
    found = {}
    for path in sorted((folder / "jobs").glob("[!.]*.json")):
        with contextlib.suppress(BadFileError, OSError, ValueError, TypeError, KeyError):
            with open_regular(path) as file:
                values = json.load(file)
            longest = tuple(Running(**each) for each in values.pop("longest"))
            found[path.stem] = Beat(**values, longest=longest)
    return found


def keys_of(folder: Path, token: str) -> frozenset[str]:
    """What a job set out to train; of a search all that it may ask for."""
    try:
        return frozenset((folder / "jobs" / f"{token}.keys").read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()


@contextlib.contextmanager
def beating(
    folder: Path | None, first: Beat, keys: Iterable[str], now: Callable[[Beat], Beat]
) -> Generator[None]:
    """Within, a thread writes what the job says, every couple of seconds; at the end how it ended. Costs the
    job nothing.

    Whatever cannot be written is left out: training goes on. Files of earlier jobs that this one makes up for
    are deleted.

    Args:
        folder: of the study; None: nothing is written.
        first: what it says at first.
        keys: what it sets out to train; without any nothing is written.
        now: fills in what has changed.
    """
    keys, over = frozenset(keys), threading.Event()
    if folder is None or not keys:
        yield
        return
    path = folder / "jobs" / f"{secrets.token_hex(4)}.json"

    def write(beat: Beat) -> None:
        with contextlib.suppress(OSError):
            _write(path, json.dumps(asdict(replace(now(beat), heard=time.time()))))

    def beat() -> None:
        while not over.wait(SECONDS):
            write(first)

    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder, keys)
        _write(path.with_suffix(".keys"), "\n".join(sorted(keys)))
    write(first)
    thread, ended = threading.Thread(target=beat, name="memcap-beats", daemon=True), "done"
    thread.start()
    try:
        yield
    except BaseException as error:
        ended = (
            "interrupted"
            if isinstance(error, KeyboardInterrupt)
            else f"{type(error).__name__}: {error}".splitlines()[0]
        )
        raise
    finally:
        over.set()
        thread.join()
        write(replace(first, ended=ended))


def _sweep(folder: Path, keys: frozenset[str]) -> None:
    """Delete what jobs left that are done, or that are gone and wanted nothing but these members."""
    for token, beat in beats(folder).items():
        if beat.ended == "done" or (not beat.alive and keys_of(folder, token) <= keys):
            for suffix in ("json", "keys"):
                (folder / "jobs" / f"{token}.{suffix}").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Whole or not at all; it need not outlive the machine, so nobody waits for the disk."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
