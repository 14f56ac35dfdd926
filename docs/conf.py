"""Sphinx: `make docs` builds the pages of this folder into docs/_build; pages.py makes those of
docs/_generated before."""

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import pages  # noqa: E402  found beside this file

import memcap  # noqa: E402  this checkout, whatever is installed

project = "memcap"
author = "The memcap authors"
release = memcap.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"memcap {release}"
html_show_copyright = False
html_static_path = ["pages.css"]
html_css_files = ["pages.css"]
highlight_language = "none"  # indented blocks are output
default_role = "code"  # docstrings have Markdown's single backticks
myst_heading_anchors = 3
autodoc_member_order = "bysource"
# scikit-learn makes these, with references into its own pages.
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}
# an attribute whose value has a docstring is described twice otherwise
napoleon_use_ivar = True
python_maximum_signature_line_length = 100

pages.write()


def setup(app: Any) -> None:
    """Two things that Sphinx would take for something else, and a page that it only
    copies."""
    app.connect("source-read", files_outside)
    app.connect("build-finished", copy_watch)
    app.connect("autodoc-process-docstring", as_written, priority=900)  # after Napoleon


def copy_watch(app: Any, _error: Exception | None) -> None:
    """Copy the page on which LSTMs train, beside the others."""
    programs = shutil.ignore_patterns("*.py", "__pycache__")
    place = Path(app.outdir) / "watch"
    shutil.copytree(HERE / "watch", place, ignore=programs, dirs_exist_ok=True)


def files_outside(_app: Any, page: str, source: list[str]) -> None:
    """A link to the page of a study gives the page that is made of it; one to another
    Markdown file outside this folder gives the file."""
    place = (HERE / page).parent
    text = pages.LINK.sub(lambda link: pages.linked(link, place, place), source[0])

    def file(link: re.Match) -> str:
        inside = place.joinpath(link[2]).resolve().is_relative_to(HERE)
        return link[0] if inside else f"{{download}}`{link[1]} <{link[2]}>`"

    source[0] = re.sub(r"\[([^]]+)\]\((\.\./[\w./]+\.md)\)", file, text)


def as_written(
    _app: Any, what: str, _name: str, found: Any, _options: Any, lines: list[str]
) -> None:
    """What comes before a colon in a property's docstring is no type, which Napoleon
    takes it for."""
    if what == "property":
        lines[:] = inspect.cleandoc(found.__doc__ or "").splitlines()
