"""The report of a mirror beside a job, which the job reads when it ends.

    DIR/jobs/TOKEN.members.parquet  the members that may come, written by the job as the
                                    mirror starts
    DIR/jobs/TOKEN.mirror.json      the report

TOKEN begins with the digits of the command's session, like the tokens of its jobs. Both
files are removed with the mirror.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from memcap.store import files, heartbeat

ONLINE = "W&B online"
OFFLINE = "W&B offline"
TRACKIO = "trackio"
WITHOUT_NETWORK = ("", OFFLINE, TRACKIO)  # "": before the first service is called


@dataclass(frozen=True)
class Report:
    """The state of a mirror."""

    service: str = ""  # the service in use; "" before the first call
    sent: int = 0  # number of members and results that it has
    warnings: tuple[str, ...] = ()  # lines about services that did not work
    where: str = (
        ""  # where to find the runs, in one line; "" before the mirror has ended
    )
    # number of members and results that no service has; 0 before the mirror has ended
    left: int = 0

    def write(self, path: Path) -> None:
        """Write the report; raise OSError if it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, json.dumps(asdict(self)).encode())


def report_path(folder: Path, token: str) -> Path:
    """Return the path of a mirror's report."""
    return folder / "jobs" / f"{token}.mirror.json"


def read_report(folder: Path, token: str) -> Report:
    """Read a mirror's report; if it was never written, return an empty one."""
    try:
        return Report(
            **json.loads(report_path(folder, token).read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, TypeError):
        return Report()


def figure_since(folder: Path, token: str) -> Path | None:
    """Return the study's figure, if it was drawn since the mirror started."""
    for name in ("frontier.png", "held_out.png"):
        figure = folder / "figures" / name
        with contextlib.suppress(OSError):
            start = heartbeat.members_path(folder, token).stat().st_mtime_ns
            if figure.stat().st_mtime_ns >= start:
                return figure
    return None


def remove_files(folder: Path, token: str) -> None:
    """Remove the report and the list of members."""
    for path in (report_path(folder, token), heartbeat.members_path(folder, token)):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
