"""The pages that are made from the project, so that nobody types a number of theirs:
gallery, command, Python face.

python docs/pages.py            writes them into docs/_generated, as `make docs` does by itself
"""

import contextlib
import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import polars as pl

import memcap
from memcap import cli, commands, figures, findings
from memcap.store.published import STUDIES, folder, sweeps

UP = "../.."  # from docs/_generated to the project
WIDTH = 90  # characters of a line of help
# Studies that are drawn together, by the first of them and the figure.
TOGETHER = {
    ("up_to", "lags"): ("up_to", "atlas", "ggt"),
    ("atlas", "gap"): ("atlas", "other_tasks", "muon", "ggt"),
    ("atlas", "costs"): ("atlas", "muon", "ggt"),
    ("cell_map", "cell_map"): STUDIES["cell_map"],
    ("cell_map", "gap"): STUDIES["cell_map"],
    ("cell_map_tasks", "cell_map"): STUDIES["cell_map_tasks"],
    ("optimizers", "optimizers"): (
        "optimizers",
        "optimizers_frontier",
        "optimizers_seconds",
        "optimizers_fifty",
    ),
}
READ = {
    "paper": "",
    "code": " The authors' code was read, and of the text the abstract.",
    "notes": " A study after the paper, which is known from notes of others.",
}


def gallery() -> str:
    """Each paper with published rows: question, picture, verdicts, and the command that
    makes them again. Then other studies."""
    known = findings.papers()
    done = [name for name in known if (folder(name) / "verdicts.csv").is_file()]
    parts = [
        "# Gallery",
        (
            "Papers redrawn, studies after a paper, and the studies behind memcap's answers. Each"
            " picture and verdict is made by the command beside it from the rows that lie in the"
            " project; tests make them again and compare."
        ),
        "## Papers",
        _table(
            ["paper", "question", "whose claims", *get_args(findings.ClaimStatus)],
            [line for name in done for line in _counts(name)],
        ),
        *(_paper(name) for name in done),
    ]
    if missing := [
        f"`memcap reproduce {name}`: {known[name]}"
        for name in known
        if name not in done
    ]:
        parts += [
            "### Without published rows",
            "\n".join(f"* {line}" for line in missing),
        ]
    return "\n\n".join([*parts, "## Studies", *_studies()]) + "\n"


def _verdicts(name: str) -> pl.DataFrame:
    return pl.read_csv(folder(name) / "verdicts.csv", infer_schema=False).fill_null("")


def _counts(name: str) -> list[list[str]]:
    """Lines of the table of papers: one for each of whose claims there are any."""
    lines = []
    for whose in get_args(findings.Whose):
        verdicts = _verdicts(name).filter(whose=whose)["verdict"].to_list()
        if verdicts:
            counts = [
                str(verdicts.count(status)) for status in get_args(findings.ClaimStatus)
            ]
            lines.append(
                [f"[{name}](#{name})", _text(findings.papers()[name]), whose, *counts]
            )
    return lines


def _paper(name: str) -> str:
    """The section of a paper."""
    reproduction = findings.find(name)
    data = _verdicts(name)
    question, _, protocol = inspect.cleandoc(reproduction.__doc__ or "").partition(
        "\n\n"
    )
    question = " ".join(question.split())
    claims = [
        [*map(_text, line)]
        for line in data.select(
            "claim", "whose", "paper", "read", "here", "verdict", "why"
        ).iter_rows()
    ]
    lines = [
        [claim, whose, f"{paper} ({read})", here, f"**{verdict}**"]
        for claim, whose, paper, read, here, verdict, _ in claims
    ]
    why = [f"* *{claim}*: {reason}" for claim, *_, reason in claims if reason]
    at = f"{UP}/sweeps/{name}"
    return "\n\n".join(
        [
            f"### {name}",
            (
                f"**{_text(question)}**"
                f" {_text(reproduction.PAPER.source)}.{READ[reproduction.PAPER.read]}"
            ),
            f"![{question} {_alt(reproduction.draw)}]({at}/figure.png)",
            _table(["claim", "whose", "paper", "here", "verdict"], lines),
            *(["Why not:", "\n".join(why)] if why else []),
            _fenced(f"memcap reproduce {name} --rows --check"),
            (
                f"makes picture and verdicts again from the [rows]({at}/rows.parquet) ([numbers"
                f" drawn]({at}/figure.csv),"
                f" [verdicts]({at}/verdicts.csv)); `memcap reproduce {name}` trains the"
                f" [study]({at}.yaml), too."
                f" It costs {reproduction.PAPER.cost}, and needs {reproduction.PAPER.hardware}."
            ),
            protocol.strip(),
        ]
    )


def _alt(draw: Callable[..., Any]) -> str:
    """Return what a picture shows, as the docstring of the function that draws it says
    after "Draw"."""
    return " ".join((inspect.getdoc(draw) or "").split()).removeprefix("Draw ")


def _studies() -> list[str]:
    """Pictures of studies that are no paper's."""
    about = figures.summaries()
    parts = []
    for picture in sorted(sweeps().glob("*/figures/*.png")):
        study = picture.parts[-3]
        at = f"{UP}/sweeps/{study}"
        places = " ".join(
            f"sweeps/{each}" for each in TOGETHER.get((study, picture.stem), (study,))
        )
        parts += [
            f"### {study}: {picture.stem}",
            about[picture.stem],
            f"![{about[picture.stem]}]({at}/figures/{picture.name})",
            _fenced(f"memcap figure {picture.stem} {places}"),
            (
                f"draws it from the [rows]({at}/rows.parquet) ([numbers"
                f" drawn]({at}/figures/{picture.stem}.csv)), which `memcap train"
                f" sweeps={study}` trains ([study]({UP}/sweeps/{study}.yaml))."
            ),
        ]
    return parts


def command() -> str:
    """What `memcap --help` and each subcommand's `--help` print."""
    parts = ["# Command", "As the help prints it.", _fenced(helped())]
    for name in commands.summaries():
        parts += [f"## memcap {name}", _fenced(helped(name))]
    return "\n\n".join(parts) + "\n"


def helped(*words: str) -> str:
    """The help of a command, as it is printed where lines have WIDTH characters."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=str(WIDTH)),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        cli.main([*words, "--help"])
    return out.getvalue().rstrip()


def face() -> str:
    """The docstrings of all that `import memcap` gives."""
    parts = [
        "# Python, name by name",
        "All of `memcap.__all__`, from the docstrings. [The overview](../python.md) is shorter.",
    ]
    for name in memcap.__all__:
        what = getattr(memcap, name)
        kind = (
            "module"
            if inspect.ismodule(what)
            else "class"
            if inspect.isclass(what)
            else "function"
        )
        home = what.__name__ if kind == "module" else f"memcap.{name}"
        members = (
            "\n   :members:" if kind == "class" and not issubclass(what, tuple) else ""
        )
        parts += [
            f"## {name}",
            f"```{{eval-rst}}\n.. auto{kind}:: {home}{members}\n```",
        ]
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _text(words: str) -> str:
    """Words of a paper's file, with what Markdown would take for its own escaped."""
    return re.sub(r"([|*_<])", r"\\\1", words)


def _table(heads: list[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines]
    )


def write(folder: Path) -> None:
    """Write the pages that changed.

    Args:
        folder: docs/_generated.
    """
    folder.mkdir(exist_ok=True)
    for page in (gallery, command, face):
        path = folder / f"{page.__name__}.md"
        text = page()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "_generated")
