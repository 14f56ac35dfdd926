"""trackio: the runs that W&B would get, in a local database, with a dashboard and without an
account.

trackio knows a run by its name, so the names end in the first digits of the id; it has no summary, so what a
row says stands at the last step, as row/NAME. trackio is imported when it is called for, which is in the
mirror's process alone.
"""

import contextlib
import contextvars
import io
import warnings
from pathlib import Path
from typing import Any

from memcap.store.curves import Points
from memcap.tracking.runs import Run, Target


class TrackioService:
    """See `memcap.tracking.mirror.Service`.

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

    def run(self, run: Run, points: Points, row: dict[str, Any] | None) -> None:
        """See `Service.run`."""
        opened, first = self._opened(run)
        for step, values in points.items():
            if step >= first:
                opened.log(values, step=step)
        if row is not None:
            if opened._next_step > first or not first:  # else the run is there, with its row
                last = max(opened._next_step - 1, 0)
                opened.log({f"row/{name}": value for name, value in row.items()}, step=last)
            del self.open[run.id]
            self._finish(opened)

    def progress(self, values: dict[str, float]) -> None:
        """See `Service.progress`."""
        self._opened(self.target.study)[0].log(values)

    def result(self, table: list[dict[str, Any]], image: Path | None) -> None:
        """See `Service.result`."""
        media: dict[str, Any] = {}
        if table:
            columns = list(dict.fromkeys(key for row in table for key in row))
            data = [[row.get(column) for column in columns] for row in table]
            media["frontier"] = self.trackio.Table(columns=columns, data=data)
        if image is not None:
            media["figure"] = self.trackio.Image(str(image))
        self._opened(self.target.study)[0].log(media)

    def close(self) -> str:
        """See `Service.close`."""
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
            # In a context of its own: else trackio ends the run that is open.
            make = contextvars.copy_context().run
            name = f"{run.name} {run.id[-6:]}"
            with contextlib.redirect_stdout(io.StringIO()):  # it says how to see each run
                opened = make(
                    self.trackio.init, self.target.project, name=name, config=config, resume="allow", **more
                )
            self.open[run.id] = opened, opened._next_step
            self._complain()
        return self.open[run.id]

    def _finish(self, run: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            run.finish()
        self._complain()

    def _complain(self) -> None:
        """Raise what trackio only warns of: that it could not write."""
        texts = [
            text for warning in self.complaints or () if (text := str(warning.message)).startswith("trackio")
        ]
        warnings.simplefilter("always")  # the next one, too
        if texts:
            raise RuntimeError(texts[0])
