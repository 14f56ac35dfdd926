"""Print a page of the documentation: a guide, or what a study found.

  memcap docs
      list the pages
  memcap docs start
      ten minutes of memcap
  memcap docs atlas
      a study's page: what it asks, and what was found

On a terminal the page is laid out; into a pipe it is Markdown, as in memcap docs knobs |
less.
"""

import sys
from argparse import ArgumentParser, Namespace
from textwrap import indent

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.text import Text

from memcap.knobs import UserError, alternatives
from memcap.runtime import ROOT
from memcap.store.shards import studies
from memcap.terminal.words import Column, Listing, fold_help, show

STUDIES = (
    "Each study has a page, too: memcap docs papers and memcap docs studies name them."
)


class Commands(CodeBlock):
    """A block of code, in which a terminal breaks no command."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Indent the lines, with remarks below what they are about."""
        code = indent(str(self.text).rstrip(), "  ")
        lines = fold_help(code, options.max_width)
        yield Text(lines, no_wrap=True, overflow="ignore")


class Page(Markdown):
    """A page, with such blocks."""

    elements = Markdown.elements | {"fence": Commands, "code_block": Commands}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("page", nargs="?", help="its name; without it, list them")


def run(arguments: Namespace) -> None:
    guides = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "docs").glob("*.md"))
        if path.stem != "index"
    }
    name = arguments.page
    if name is None:
        titles = {each: text.partition("\n")[0][2:] for each, text in guides.items()}
        columns = [Column("page"), Column("title")]
        show(Listing("memcap docs PAGE", columns, [*titles.items()], notes=[STUDIES]))
        return
    pages = {each: place / "README.md" for each, place in studies().items()}
    pages = {each: page for each, page in pages.items() if page.is_file()}
    if name not in {*guides, *pages}:
        guess = alternatives(name, guides, "a study", len(guides))
        raise UserError(f"{name}: no such page; {guess}")
    text = guides.get(name) or pages[name].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        show(Page(text, hyperlinks=False))
    else:
        print(text, end="")
