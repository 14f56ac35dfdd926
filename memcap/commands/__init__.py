"""The subcommands of `memcap`, one file each. A new file here is a new subcommand;
nothing else changes.

A command is an object, in this folder the file itself, with

* a docstring: its first line stands in `memcap --help`, all of it in `memcap COMMAND --help`;
* `add_arguments(parser)`, which adds what the command takes to an `argparse.ArgumentParser`;
* `run(arguments)`, which gets what was parsed, does the work and prints. It raises
  `memcap.knobs.UserError` for what the user can mend: that is printed as one
  line, and the exit status is 2.

A command that lives elsewhere is called by `module:name`: `memcap my_module:hello` runs
the object `hello` of my_module.py, and `memcap my_folder:hello` the file
my_folder/hello.py. Such a file may look like this:

    '''Say hello.'''

    def add_arguments(parser):
        parser.add_argument("name")

    def run(arguments):
        print("Hello,", arguments.name)

`memcap --help` reads the files and imports none of them. Only the command that was
asked for is imported; so a file imports what it needs, JAX too, at its top.
`memcap.runtime.jax_setup.setup()` comes before `run`, and before the import of a
command that lives elsewhere. So a file of this room computes nothing as it is imported,
and one that imports no JAX answers at once.
"""

from argparse import ArgumentParser, Namespace
from typing import Protocol

from memcap.runtime import plugins


class Command(Protocol):
    """The interface of a command, a file of this folder or an object elsewhere."""

    __doc__: str | None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, arguments: Namespace) -> None:
        """Run the command."""


FOLDER = plugins.Folder[Command](
    __name__, "command", ("add_arguments", "run"), shared=("arguments",)
)
find = FOLDER.find
summaries = FOLDER.summaries
