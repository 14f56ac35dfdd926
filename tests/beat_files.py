"""Files as jobs leave them for `memcap status`, of jobs that nobody ran."""

import json
from dataclasses import asdict, replace

from memcap.studies.heartbeat import Beat, Running

MEMBER = Running("0123456789abcdef", "latch-L5-u1-s0", 100, 1500, 0.5, 3.0, None)


def first(**changes):
    """What a job of this process says, with changes."""
    return replace(Beat.first("name", "memcap train study=name", searched=False), **changes)


def put(folder, token, beat, keys):
    """What it says, and what it set out to train."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    (folder / "jobs" / f"{token}.json").write_text(json.dumps(asdict(beat)))
    (folder / "jobs" / f"{token}.keys").write_text("\n".join(keys))
