"""What jobs leave in a study's folder when they are killed, swept by the next one."""

import contextlib
import re
import shutil
from pathlib import Path

from memcap.studies import files, store

POPULATION = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}-\d+")  # the names that a job gives its shards
DRAWN_IN = re.compile(r"\.\w+\.[a-z0-9_]{8}")  # where `figures.save` writes before all is there


def sweep(folder: Path) -> None:
    """Remove unfinished files, weights and curves that no row tells of, and empty folders of Hydra's.

    What another job is writing just now stays, and what is younger than `files.FRESH`; so does what may not
    be removed.

    Args:
        folder: of a study; made, with its parts, by `store.prepare`.
    """
    for part in (folder, *(folder / name for name in ("rows", "weights", "curves", "checkpoints"))):
        with contextlib.suppress(OSError):
            files.sweep(part)
    for sweep_part in (_sweep_orphans, _sweep_figures):
        with contextlib.suppress(OSError):
            sweep_part(folder)
    for path in (*folder.glob("hydra/*/*"), *folder.glob("hydra/*")):
        with contextlib.suppress(OSError):  # it is no folder, or not empty
            if not path.samefile("."):
                path.rmdir()


def _sweep_orphans(folder: Path) -> None:
    with files.alone(folder / "weights") as nobody_writes:
        if not nobody_writes:
            return
        shards = {path.stem for path in (folder / "rows").glob("*.parquet")}
        beside = [*(folder / "weights").glob("*.npz"), *(folder / "curves").glob("*.parquet")]
        orphans = [path for path in beside if path.stem not in shards and POPULATION.fullmatch(path.stem)]
        tables, bad = store.survey(folder) if orphans else ([], {})
        told_of = {name for table in tables for name in table["population"]}  # by folded rows
        for path in (
            orphans if told_of and not bad else ()
        ):  # rows that are bad, or were put aside, may have told of them
            if path.stem not in told_of and files.old(path):
                path.unlink()


def _sweep_figures(folder: Path) -> None:
    with files.alone(folder / "figures") as nobody_writes:
        for path in (folder / "figures").iterdir() if nobody_writes else ():
            if DRAWN_IN.fullmatch(path.name):
                shutil.rmtree(path)
