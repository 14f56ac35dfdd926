"""The pages that are made from the project, so that nobody types a number of theirs:
studies, with lists of them, command, Python face.

python docs/pages.py            writes them into docs/_generated, as `make docs` does by itself
"""

import contextlib
import inspect
import io
import os
import re
from functools import partial
from pathlib import Path
from unittest import mock

import yaml

import memcap
from memcap import cli, commands
from memcap.store.shards import folder, studies

HERE = Path(__file__).parent
PLACE = HERE / "_generated"
STUDIES = PLACE / "studies"
WIDTH = 90  # characters of a line of help
TITLES = {  # of the lists of studies in docs/shelf.yaml, and of the rest
    "front": "Where to begin",
    "supplement": "More on the same",
    "archive": "Side questions",
}
LINK = re.compile(r"\]\(([^)#\s:]+)(#[\w-]+)?\)")


def command() -> str:
    """Return what `memcap --help` and each subcommand's `--help` print."""
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


def study(name: str) -> str:
    """The page of a study, with its links as they are from this folder."""
    page = (folder(name) / "README.md").read_text(encoding="utf-8")
    return LINK.sub(lambda link: linked(link, folder(name), STUDIES), page)


def linked(link: re.Match[str], page: Path, place: Path) -> str:
    """A link of a page in one folder as it is for a page in another: of a study to the
    page that is made of it, of other files to themselves."""
    target = (page / link[1]).resolve()
    if target.name == "README.md" and target.parent in studies().values():
        target = STUDIES / f"{target.parent.name}.md"
    return f"]({os.path.relpath(target, place)}{link[2] or ''})"


def shelf() -> dict[str, list[str]]:
    """Return the studies that have a page, by the lists of `TITLES`."""
    lists = yaml.safe_load((HERE / "shelf.yaml").read_text(encoding="utf-8"))
    elsewhere = {*lists["front"], *lists["archive"]}
    pages = (
        name for name, place in studies().items() if (place / "README.md").is_file()
    )
    return lists | {"supplement": [name for name in pages if name not in elsewhere]}


def contents(title: str, names: list[str]) -> str:
    """The page of a list of studies."""
    entries = "\n".join(f"studies/{name}" for name in names)
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"


def write() -> None:
    """Write the pages that changed."""
    STUDIES.mkdir(exist_ok=True, parents=True)
    pages = {"command": command, "face": face}
    for name, names in shelf().items():
        pages[name] = partial(contents, TITLES[name], names)
        pages |= {f"studies/{name}": partial(study, name) for name in names}
    for name, page in pages.items():
        path = PLACE / f"{name}.md"
        text = page()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
