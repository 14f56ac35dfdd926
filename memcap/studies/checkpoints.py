"""The half-trained members of a job: seconds old in memory, half a minute on disk.

    DIR/checkpoints/TOKEN.npz    those of one run of a job: "index", JSON with a part
                                 per program and the curves so far; PART/0, PART/1, ...:
                                 leaves of the states, a row per member

A new job takes over states from the files of others, which it removes once it has
written its own. A state serves only the same member, program, loop and software.
"""

import contextlib
import json
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memcap.config.member import Engine, Member
from memcap.knobs import grouped
from memcap.store import shards
from memcap.store.curves import Points
from memcap.store.files import BadFileError, read_npz, write_npz
from memcap.studies.environment import fingerprint
from memcap.terminal.words import plural, warn_once
from memcap.training.engine import Checkpoint
from memcap.training.program import Program, loop_version

# after which a member's state is wanted; shorter ones have none
SECONDS_OF_TRAINING = 5.0
SECONDS_BETWEEN_WRITES = 30.0


class Checkpoints:
    """The states of the members of one run of a job; thread-safe.

    The job's token names its file. Members with keys in `finished` have rows, and need
    no state.
    """

    def __init__(
        self,
        folder: Path,
        members: Iterable[Member],
        engine: Engine | None = None,
        token: str = "",
        finished: Collection[str] = (),
    ):
        self.engine = engine or Engine()
        self.path = folder / "checkpoints" / f"{token or shards.new_token()}.npz"
        self.members = {member.key: member for member in members}
        self.lock = threading.Lock()
        self.states: dict[str, Checkpoint] = {}
        self.curves: dict[str, Points] = {}  # by key, up to the state
        self.adopted_files: list[Path] = []  # their states are held here, or have rows
        self.foreign: set[str] = set()  # keys whose states come from other software
        for path in sorted(self.path.parent.glob("*.npz")):
            self._adopt(path, finished)
        begun_anew = self.foreign - self.states.keys()
        if begun_anew:
            why = (
                "half-trained by other code, another loop, other versions or another device, so"
                " begun anew"
            )
            warn_once(f"{why}: {plural(len(begun_anew), 'member')}")
        if self.states:
            count = plural(len(self.states), "member")
            warn_once(f"half-trained, and gone on with: {count}")
        self.version = len(self.adopted_files)
        self.on_disk = 0
        self.written = time.monotonic()

    def _adopt(self, path: Path, finished: Collection[str]) -> None:
        try:
            stored = read_npz(path, states_of)
        except BadFileError as error:
            aside = path.with_name(f"{path.name}.bad")
            if not isinstance(error.__cause__, OSError):
                path.replace(aside)
            warn_once(
                f"{path}: {error}; its members begin anew"
                + f"; set aside as {aside.name}" * aside.exists()
            )
            return
        foreign = set()
        for state, made_by, curve in stored:
            key = state.key
            if key not in self.members or key in finished:
                continue
            member = self.members[key]
            loop = loop_version(Program.of(member, self.engine).trainer)
            known = self.states.get(key)
            if made_by != fingerprint(member) or state.loop != loop:
                foreign.add(key)
            elif known is None or known.host_state["steps"] < state.host_state["steps"]:
                self.states[key] = state
                self.curves[key] = curve
        self.foreign |= foreign
        keys = {state.key for state, _, _ in stored}
        if not foreign and keys <= self.members.keys() | set(finished):
            self.adopted_files.append(path)

    def find(self, keys: Sequence[str]) -> dict[str, Checkpoint]:
        with self.lock:
            return {key: self.states[key] for key in keys if key in self.states}

    def curve(self, key: str) -> Points:
        """Return the curve of a member at the time of its state."""
        with self.lock:
            return dict(self.curves.get(key, {}))

    def keep(self, states: Sequence[Checkpoint], curves: Mapping[str, Points]) -> None:
        with self.lock:
            self.states |= {state.key: state for state in states}
            self.curves |= {
                state.key: dict(curves.get(state.key, {})) for state in states
            }
            self.version += 1

    def drop(self, keys: Sequence[str]) -> None:
        with self.lock:
            for key in keys:
                self.version += self.states.pop(key, None) is not None
                self.curves.pop(key, None)

    def write_late(self) -> None:
        if time.monotonic() - self.written > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        with self.lock:
            states = list(self.states.values())
            curves = dict(self.curves)
            version = self.version
        if version != self.on_disk:
            if states:
                made_by = [fingerprint(self.members[state.key]) for state in states]
                # only now, as another job may have removed the empty folder
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_npz(self.path, _arrays(states, made_by, curves))
            else:
                self.path.unlink(missing_ok=True)
            for path in self.adopted_files:
                path.unlink(missing_ok=True)
            if not states:
                with contextlib.suppress(OSError):  # other jobs have states there
                    self.path.parent.rmdir()
            self.adopted_files = []
            self.on_disk = version
        self.written = time.monotonic()


def _arrays(
    states: Sequence[Checkpoint],
    fingerprints: Sequence[str],
    curves: Mapping[str, Points],
) -> dict[str, np.ndarray]:
    pairs = zip(states, fingerprints, strict=True)
    parts = grouped(pairs, lambda pair: pair[0].program)
    index = []
    arrays = {}
    for number, (program, part) in enumerate(parts.items()):
        leaves = zip(*(state.state for state, _ in part), strict=True)
        stacked = [np.stack(rows) for rows in leaves]
        arrays |= {f"{number}/{k}": leaf for k, leaf in enumerate(stacked)}
        members = [
            {
                "key": state.key,
                "stamp": made_by,
                "lane": state.host_state,
                "curve": [*curves[state.key].items()],
            }
            for state, made_by in part
        ]
        index.append({"program": program, "leaves": len(stacked), "members": members})
    return {"index": np.frombuffer(json.dumps(index).encode(), np.uint8), **arrays}


def states_of(stored: Any) -> list[tuple[Checkpoint, str, Points]]:
    """Return an open file's states, each with its fingerprint and curve."""
    states = []
    for number, part in enumerate(json.loads(stored["index"].tobytes())):
        leaves = [stored[f"{number}/{k}"] for k in range(part["leaves"])]
        for row, member in enumerate(part["members"]):
            state = Checkpoint(
                member["key"],
                part["program"],
                member["lane"],
                [leaf[row] for leaf in leaves],
            )
            states.append((state, member["stamp"], dict(member["curve"])))
    return states
