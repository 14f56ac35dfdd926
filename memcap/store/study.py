"""The study that a job belongs to."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Study:
    """The place and the name of a study, and the design by which its members are trained."""

    # folder of its rows, weights and curves. None: nothing is read or written
    folder: Path | None = None
    name: str = ""  # the study's name in every row
    design: str = "grid"  # one of `memcap.designs.DESIGNS`
    # half the width of the interval of u90 at which design="adaptive" stops, as a share
    # of u90. None: the design's default
    precision: float | None = None
    # 8 hexadecimal digits that all jobs of one command share (`shards.new_session`), by
    # which a follower of the folder knows their files. "": the job is alone
    session: str = ""
    # the command line that started it. None: it was started from Python
    command: str | None = None

    @property
    def is_searched(self) -> bool:
        """True if the design chooses members by results."""
        return self.design != "grid"
