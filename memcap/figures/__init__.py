"""Figures, one file each. A new file here is a new figure; nothing else changes.

A figure is an object, in this folder the file itself, with

* a docstring: its first line stands in `memcap figure --help`;
* `draw(rows)`, which gets the rows of trained members (the columns are
  `memcap.store.rows.SCHEMA`) and gives a `Drawn`: a picture, and the numbers in it. It
  touches nothing else. It makes its picture with `matplotlib.figure.Figure` and leaves
  matplotlib.pyplot alone, so no window and no backend is chosen for whoever imports it.

A figure that shows one study alone is the `draw` of sweeps/GROUP/NAME/findings.py, which
draws the figure of a paper, too: `memcap figure cell_map`, `memcap figure grazzi2024`.
One that lives elsewhere is called by `module:name`: `memcap figure my_module:hello
outputs/mine` draws the object `hello` of my_module.py, and `memcap figure
my_folder:hello outputs/mine` the file my_folder/hello.py. CONTRIBUTING.md has one.

In a notebook: `memcap.figures.find("frontier").draw(rows).figure`.
"""

import ast
import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import polars as pl

from memcap.knobs import UserError, alternatives
from memcap.runtime import plugins
from memcap.store import files
from memcap.store.shards import folder, load_findings, with_findings
from memcap.terminal.words import first_paragraph

if TYPE_CHECKING:  # so that a job imports it only at its end, to draw
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")  # of pictures


@dataclass(frozen=True)
class Drawn:
    """A picture with the numbers drawn in it."""

    figure: "Figure"
    data: pl.DataFrame

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.figure.savefig(content, format="png", dpi=100)
        return content.getvalue()


class Draws(Protocol):
    """A file of this folder, or an object elsewhere, that is a figure."""

    def draw(self, rows: pl.DataFrame) -> Drawn:
        """Draw the rows.

        Raises:
            UserError: there is nothing to draw in them; the line says what to train.
        """
        ...


FOLDER = plugins.Folder[Draws](
    __name__,
    "figure",
    ("draw",),
    shared=("lines", "style"),
    elsewhere={"held_out": "memcap.own.figure"},
)


def summaries() -> dict[str, str]:
    """Return what each figure shows, by name, without those of papers; import none."""
    of_studies = {study: _shown_by(study) for study in with_findings()}
    summaries_of_studies = {study: text for study, text in of_studies.items() if text}
    return dict(sorted((FOLDER.summaries() | summaries_of_studies).items()))


def _shown_by(study: str) -> str:
    """Return what the figure of a study shows; "" for none, or a paper's."""
    source = (folder(study) / "findings.py").read_text(encoding="utf-8")
    if "\ndef draw(" not in source or "\nPAPER = " in source:
        return ""
    parts = {getattr(part, "name", ""): part for part in ast.parse(source).body}
    text = first_paragraph(ast.get_docstring(cast("ast.FunctionDef", parts["draw"])))
    text = text.removeprefix("Draw ")
    return text[0].upper() + text[1:]


def find(name: str) -> Draws:
    """Import a figure by name: a file of this folder, a study's findings.py, or
    `module:name`. Raise UserError if there is none, or it has no `draw`."""
    if name in FOLDER.names or plugins.is_import_path(name):
        return FOLDER.find(name)
    study = load_findings(name) if name in with_findings() else None
    if not hasattr(study, "draw"):
        names = alternatives(name, summaries(), "MODULE:NAME of your own")
        raise UserError(f"{name}: no such figure; {names}")
    return study


@contextlib.contextmanager
def own_style() -> Generator[None]:
    """Ignore the user's matplotlibrc within the context."""
    from matplotlib import style  # noqa: PLC0415, as a command imports it only to draw

    with style.context("default"):
        yield


def save(
    drawn: Drawn, folder: Path, name: str, formats: Sequence[str] = FORMATS[:2]
) -> Path:
    """Write folder/NAME.FORMAT for each of `formats`, some of `FORMATS`, and NAME.csv
    with the numbers drawn; return the path of the first picture.

    Raises:
        UserError: nothing was drawn, or the folder cannot be written.
    """
    if not isinstance(drawn, Drawn):
        raise UserError(
            f"{name}: draw gave {type(drawn).__name__}; it must give memcap.figures.Drawn(figure,"
            " data)"
        )
    if drawn.data.is_empty():
        raise UserError(
            f"{name}: nothing to draw in these rows; give the folder of another study"
        )
    from memcap.figures.style import leave_dollars  # noqa: PLC0415, as above

    leave_dollars(drawn.figure)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # in memory, as libraries raise errors of their own on a full disk
        contents = {"csv": drawn.data.write_csv().encode()}
        contents |= {ending: _picture(drawn, ending) for ending in formats}
        for ending, content in contents.items():
            files.replace(folder / f"{name}.{ending}", content)
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            f"{folder}: the figure cannot be written ({why}); rows are safe, and memcap figure"
            f" {name} STUDY -o FOLDER draws it elsewhere"
        ) from error
    return folder / f"{name}.{formats[0]}"


def _picture(drawn: Drawn, ending: str) -> bytes:
    content = BytesIO()
    drawn.figure.savefig(content, format=ending, dpi=200)
    return content.getvalue()
