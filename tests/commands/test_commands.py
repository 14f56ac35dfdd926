"""Commands are found by name: the package's own files, and `module:name` elsewhere."""

import inspect
import sys

import pytest
from command import memcap

from memcap import commands
from memcap.launch import app

HELLO = """'Say hello.\\n\\nTo anybody.'

def add_arguments(parser):
    parser.add_argument("name", nargs="+")
    parser.add_argument("--times", type=int, default=1)

def run(arguments):
    for _ in range(arguments.times):
        print("Hello,", *arguments.name)
"""
CLASS = """from memcap.knobs import UserError

class refuse:
    'Refuse.'

    @staticmethod
    def add_arguments(parser):
        parser.add_subparsers(required=True, metavar="WHAT").add_parser("all")

    @staticmethod
    def run(arguments):
        raise UserError("all: cannot be")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder. Python forgets at the end to look in it, but no module: each
    test has names of its own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_a_file_of_a_folder_is_a_command(folder):
    (folder / "hello_folder").mkdir()
    (folder / "hello_folder" / "hello.py").write_text(HELLO)
    done = memcap(folder, "hello_folder:hello", "you", "two", "--times", "2")
    assert (done.status, done.out, done.err) == (0, "Hello, you two\n" * 2, "")
    done = memcap(folder, "hello_folder:hello")
    line = "the following arguments are required: name; see memcap hello_folder:hello --help"
    assert (done.status, done.err) == (2, f"memcap: {line}\n")
    told = memcap(folder, "hello_folder:hello", "--help")
    assert told.status == 0
    usage = "usage: memcap hello_folder:hello [-h] [--times TIMES] name [name ...]\n"
    assert told.out.startswith(usage)
    assert "\nSay hello.\n\nTo anybody.\n" in told.out


def test_a_class_of_a_file_is_a_command_and_its_mistakes_are_one_line(folder):
    (folder / "outside.py").write_text(CLASS)
    done = memcap(folder, "outside:refuse", "all")
    assert (done.status, done.out, done.err) == (2, "", "memcap: all: cannot be\n")
    done = memcap(folder, "outside:refuse", "none")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "invalid choice: 'none'" in done.err


def test_what_a_command_itself_misses_is_not_hidden(folder):
    (folder / "needy_folder").mkdir()
    (folder / "needy_folder" / "needy.py").write_text("import no_such_library")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        memcap(folder, "needy_folder:needy")


def test_the_example_of_the_protocol_works(folder):
    assert commands.__doc__
    example = commands.__doc__.split("like this:\n")[1].split(
        "\n`memcap --help` reads"
    )[0]
    (folder / "example_folder").mkdir()
    (folder / "example_folder" / "hello.py").write_text(inspect.cleandoc(example))
    assert memcap(folder, "example_folder:hello", "you").out == "Hello, you\n"


def test_the_help_lists_each_file_with_what_its_docstring_says_first(tmp_path):
    out = " ".join(memcap(tmp_path, "--help").out.split())
    for name, summary in commands.summaries().items():
        assert summary
        assert f" {name} {summary}" in out
        assert " ".join((commands.find(name).__doc__ or "").split()).startswith(summary)


def test_words_of_train_reach_hydra_as_they_are(tmp_path, monkeypatch):
    got = []
    monkeypatch.setattr(app, "main", got.append)
    for words in (
        ["-m", "a=1"],
        ["a=1", "--cfg", "job", "-p", "x"],
        [],
        ["--version"],
        ["--", "-1"],
        ["+a=-1", "~b", ""],
    ):
        assert memcap(tmp_path, "train", *words).err == ""
        assert got.pop() == words
