"""trackio: the runs that W&B would get, in a local database, with a dashboard and
without an account.

trackio identifies a run by its name, so names end in the last digits of the id; it has
no summary, so the row is logged at the last step, as row/NAME. trackio is imported only
when used, in the mirror's process.
"""

import contextlib
import contextvars
import io
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from memcap.store.curves import Points
from memcap.tracking.runs import Run, Target, table_parts


class TrackioService:
    """trackio as a `memcap.tracking.mirror.Service`.

    Raises:
        RuntimeError: trackio is not installed.
    """

    def __init__(self, target: Target):
        try:
            import trackio
        except ImportError as error:
            raise RuntimeError(f"{error}; pip install 'memcap[trackio]'") from error
        self.trackio: Any = trackio
        self.target = target
        self.count = 0
        self.open: dict[
            str, tuple[Any, int]
        ] = {}  # trackio's runs by id, each with its first new step
        # As long as this process lives, since a thread of trackio's writes, and may
        # warn between two calls.
        self.complaints = warnings.catch_warnings(record=True).__enter__()
        warnings.simplefilter("always")

    def run(self, run: Run, points: Points, row: dict[str, Any] | None) -> None:
        opened, first = self._opened(run)
        for step, values in points.items():
            if step >= first:
                opened.log(values, step=step)
        if row is not None:
            if (
                opened._next_step > first or not first
            ):  # otherwise the run exists, with its row
                last = max(opened._next_step - 1, 0)
                opened.log(
                    {f"row/{name}": value for name, value in row.items()}, step=last
                )
            del self.open[run.id]
            with self._strict():
                opened.finish()

    def progress(self, values: dict[str, float]) -> None:
        self._opened(self.target.study)[0].log(values)

    def result(self, table: list[dict[str, Any]], image: Path | None) -> None:
        media: dict[str, Any] = {}
        if table:
            columns, data = table_parts(table)
            media["frontier"] = self.trackio.Table(columns=columns, data=data)
        if image is not None:
            media["figure"] = self.trackio.Image(str(image))
        self._opened(self.target.study)[0].log(media)

    def close(self) -> str:
        for run, _ in self.open.values():
            with self._strict():
                run.finish()
        runs = f"trackio: {self.count} run{'s' * (self.count != 1)}"
        project = self.target.project
        return (
            f"{runs} in project {project}, shown by: trackio show --project {project}"
        )

    def _opened(self, run: Run) -> tuple[Any, int]:
        if run.id not in self.open:
            self.count += 1
            config = {
                **run.config,
                "id": run.id,
                "kind": run.kind,
                "tags": [*run.tags, *self.target.tags],
            }
            options: dict[str, Any] = {
                "name": f"{run.name} {run.id[-6:]}",
                "group": self.target.group,
            }
            options["config"] = config
            options |= {
                "resume": "allow",
                "embed": False,
                "auto_log_gpu": False,
                "auto_log_cpu": False,
            }
            # In a context of its own, as otherwise trackio ends the run that is open.
            make = contextvars.copy_context().run
            with self._strict():
                opened = make(self.trackio.init, self.target.project, **options)
            self.open[run.id] = opened, opened._next_step
        return self.open[run.id]

    @contextlib.contextmanager
    def _strict(self) -> Generator[None]:
        """Keep trackio from printing how to see each run, and raise an error where it
        only warns that it cannot write, now or since the last call.

        Raises:
            RuntimeError: trackio has warned.
        """
        with contextlib.redirect_stdout(io.StringIO()):
            yield
        for complaint in self.complaints or ():
            if str(complaint.message).startswith("trackio"):
                raise RuntimeError(str(complaint.message))
