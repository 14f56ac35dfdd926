"""trackio as a mirror: the runs that W&B would get, in a local database, with a dashboard and without an
account.

trackio knows a run by its name, so the names end in the first digits of the id; it has no summary, so what a
row says stands at the last step, as row/NAME. It is imported here when it is asked for, in the process of
writer.py.
"""

import contextvars
import warnings
from typing import Any

from memcap.tracking.process import Target
from memcap.tracking.runs import Run, RunRecord, StudyRecord


class TrackioMirror:
    """See `memcap.tracking.writer.Mirror`.

    Raises:
        RuntimeError: trackio is not installed.
    """

    def __init__(self, target: Target):
        try:
            import trackio
        except ImportError as error:
            raise RuntimeError(f"{error}; pip install 'memcap[trackio]'") from error
        self.trackio: Any = trackio
        self.target, self.count = target, 0
        self.open: dict[
            str, tuple[Any, int]
        ] = {}  # trackio's runs by id, and the first step that was not there before
        self.complaints = warnings.catch_warnings(
            record=True
        ).__enter__()  # for as long as this process lives

    def run(self, record: RunRecord) -> None:
        """See `Mirror.run`."""
        run, first = self._opened(record.run)
        for step, values in record.points.items():
            if step >= first:
                run.log(values, step=step)
        if record.row is not None:
            if run._next_step > first or not first:  # else the run is there, with its row
                run.log(
                    {f"row/{name}": value for name, value in record.row.items()},
                    step=max(run._next_step - 1, 0),
                )
            del self.open[record.run.id]
            self._finish(run)

    def progress(self, values: dict[str, float]) -> None:
        """See `Mirror.progress`."""
        self._opened(self.target.study)[0].log(values)

    def result(self, record: StudyRecord) -> None:
        """See `Mirror.result`."""
        shown: dict[str, Any] = {}
        if record.table:
            columns = list(dict.fromkeys(key for row in record.table for key in row))
            data = [[row.get(column) for column in columns] for row in record.table]
            shown["frontier"] = self.trackio.Table(columns=columns, data=data)
        if record.image is not None:
            shown["figure"] = self.trackio.Image(str(record.image))
        self._opened(self.target.study)[0].log(shown)

    def close(self) -> str:
        """See `Mirror.close`."""
        for run, _ in self.open.values():
            self._finish(run)
        runs = f"trackio: {self.count} run{'s' * (self.count != 1)}"
        return (
            f"{runs} in project {self.target.project}, shown by: trackio show --project {self.target.project}"
        )

    def _opened(self, run: Run) -> tuple[Any, int]:
        if run.id not in self.open:
            self.count += 1
            config = {**run.config, "id": run.id, "kind": run.kind, "tags": [*run.tags, *self.target.tags]}
            more = {"group": self.target.group, "embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
            make = (
                contextvars.copy_context().run
            )  # in a context of its own: else trackio ends the run that is open
            opened = make(
                self.trackio.init,
                self.target.project,
                name=f"{run.name} {run.id[-6:]}",
                config=config,
                resume="allow",
                **more,
            )
            self.open[run.id] = opened, opened._next_step
            self._complain()
        return self.open[run.id]

    def _finish(self, run: Any) -> None:
        run.finish()
        self._complain()

    def _complain(self) -> None:
        """Raise what trackio only warns of: that it could not write."""
        told = [
            text for warning in self.complaints or () if (text := str(warning.message)).startswith("trackio")
        ]
        warnings.simplefilter("always")  # the next one, too
        if told:
            raise RuntimeError(told[0])
