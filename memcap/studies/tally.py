"""How far a job is: members that ended and members in training, with their pace; for the progress line and
`memcap status`."""

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memcap.studies.heartbeat import Beat, Running
from memcap.tracking.runs import named
from memcap.training.engine import Chunk, Result

MOST_TOLD = 20  # members in training that are told of one by one


class _Lane:
    """A member in training: its last chunk, and where and when it was first heard of."""

    def __init__(self, chunk: Chunk, now: float):
        self.begun, self.first_step, self.first_time = chunk.before, _end(chunk), now
        self.chunk, self.now = chunk, now

    @property
    def step(self) -> int:
        return _end(self.chunk)

    def share(self, since: int = 0) -> float:
        """Of its budget, that it has trained since a step."""
        return (self.step - since) / (self.chunk.member.recipe.budget or self.step or 1)

    def left(self, now: float) -> float | None:
        """Seconds to its budget, at its pace so far; None before its second chunk."""
        steps = self.step - self.first_step
        if not steps:
            return None
        pace = steps / (self.now - self.first_time)
        return max(0.0, ((self.chunk.member.recipe.budget or 0) - self.step) / pace - (now - self.now))


class Tally:
    """Counts of a job; thread-safe.

    Args:
        members: how many the job has.
        before: how many of them were there before.
    """

    def __init__(self, members: int, before: int):
        self.members, self.before = members, before
        self.done, self.solved = before, 0
        self.ends = {"diverged": 0, "failed": 0}  # that are worth a word
        self.bound = "about"
        self.started = time.monotonic()
        self.lanes: dict[str, _Lane] = {}  # by the member's key
        self.lock = threading.Lock()

    def curve(self, chunk: Chunk) -> None:
        """Take note of a chunk of a member's training."""
        now = time.monotonic()
        with self.lock:
            lane = self.lanes.get(chunk.member.key)
            if lane is None or _end(chunk) < lane.step:  # it begins, or begins again
                self.lanes[chunk.member.key] = _Lane(chunk, now)
            elif len(chunk.losses):  # else it was only asked again
                lane.chunk, lane.now = chunk, now

    def ended(self, result: Result) -> None:
        """Count one more member."""
        with self.lock:
            self.lanes.pop(result.member.key, None)
            self.done += 1
            self.solved += result.solved is not None
            if result.status in self.ends:
                self.ends[result.status] += 1

    def expect(self, left: int) -> None:
        """Set how many members are still to come at most, where a design finds out as it goes."""
        with self.lock:
            self.members, self.bound = self.done + left, "at most"

    @property
    def words(self) -> str:
        """What became of the members that ended."""
        others = (f"{count} {status}" for status, count in self.ends.items() if count)
        return ", ".join([f"{self.solved} solved", *others])

    def left(self) -> float | None:
        """Seconds to the end at the pace so far; None before there is one. Who trains counts by the share of
        the budget."""
        with self.lock:
            # Only what this job has trained tells of its pace: a member may have been half-trained when it
            # began.
            trained = (
                self.done - self.before + sum(lane.share(since=lane.begun) for lane in self.lanes.values())
            )
            if not trained:
                return None
            to_come = self.members - self.done - sum(lane.share() for lane in self.lanes.values())
            return (time.monotonic() - self.started) / trained * max(0.0, to_come)

    def told(self, beat: Beat) -> Beat:
        """What the job says now."""
        done, running = self.done - self.before, len(self.lanes)
        longest = tuple(self.longest(MOST_TOLD))
        to_come = self.members - self.done
        return replace(beat, done=done, to_come=to_come, running=running, left=self.left(), longest=longest)

    def longest(self, most: int, seconds: float = 0.0) -> Sequence[Running]:
        """The members that have trained longest, at most so many, of those that have for so many seconds."""
        now = time.monotonic()
        with self.lock:
            old = [lane for lane in self.lanes.values() if now - lane.first_time >= seconds]
            found = heapq.nsmallest(most, old, key=lambda lane: lane.first_time)
        return [_running(lane, now) for lane in found]


def _running(lane: _Lane, now: float) -> Running:
    member, losses = lane.chunk.member, lane.chunk.losses
    return Running(
        member.key,
        named(member.task.name, member.lag, member.model.units, member.seed),
        lane.step,
        member.recipe.budget or 0,
        float(np.mean(losses)) if len(losses) else None,
        now - lane.first_time,
        lane.left(now),
    )


def _end(chunk: Chunk) -> int:
    return chunk.before + len(chunk.losses)
