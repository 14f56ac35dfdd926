"""The subcommands that read: their words, their JSON, and their complaints. `memcap train` is in
test_hydra_app.py."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from breadth import leave
from command import ROOT, TINY, files, memcap, python
from jax._src import config as jax_config
from lstm_reference import keras_outputs
from study_rows import group, sealed, write
from task_checks import draw

import memcap as package
from memcap import cli, commands, store
from memcap.answers import sources
from memcap.commands.answer import NOBODY
from memcap.frontiers.frontier import columns, frontier
from memcap.launch import session
from memcap.tasks import task_class, task_classes

pytestmark = pytest.mark.usefixtures("quick_file")

COUNTS = {1: (0, 8), 2: (4, 8), 3: (8, 8), 4: (8, 8)}


@pytest.fixture
def study(tmp_path):
    """A working directory with a study in outputs/: a delay line at lags 2, 3, 8 and a latch that
    diverged."""
    groups = [
        group("delay_line", lag, {u + lag - 2: n for u, n in COUNTS.items()})
        for lag in (2, 3, 8)
    ]
    write(
        tmp_path / "outputs" / "made_up",
        *groups,
        group("latch", 5, {1: (0, 2)}, diverged=2),
    )
    return tmp_path


@pytest.fixture(autouse=True)
def no_atlas(monkeypatch):
    """Answers come from the tests' own rows."""
    monkeypatch.setattr(sources, "NAMES", ())


def strict(text):
    """JSON as the standard has it."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_a_knob_without_its_option_is_no_folder(study):
    done = memcap(study, *["answer", "--task", "latch", "--lag", "5", "symbols=32"])
    line = "symbols=32: no such folder; a knob of the task goes by --knob symbols=32"
    assert (done.status, done.err) == (2, f"memcap: {line}\n")


def test_help_teaches(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    alone = memcap(tmp_path)
    assert "First steps:\n  memcap answer --task delay_line --lag 50 " in alone.out
    assert max(map(len, alone.out.splitlines())) <= 80
    top = memcap(tmp_path, "--help")
    listed = re.findall(r"^  (\w+) +\w.*", top.out.partition("First steps")[0], re.M)
    assert sorted(listed[: listed.index("COMMAND")]) == sorted(commands.summaries())
    assert (alone.status, alone.err, top.status) == (0, "", 0)
    for help_text in (
        top,
        *(memcap(tmp_path, n, "--help") for n in commands.summaries()),
    ):
        assert max(map(len, help_text.out.splitlines())) <= 80
    assert "memcap train sweeps=first_study" in top.out
    train = memcap(tmp_path, "train", "--help").out
    for part in (
        "-m task=latch",
        "--cfg job",
        "-sc install=bash",
        "recipe=      anywhere, auto",
        "task=        adding, bandit, bandlimited_delay",
    ):
        assert part in train
    assert memcap(tmp_path, "--version").out == f"memcap {package.__version__}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["collect", "figure frontier"])
def test_a_bad_shard_is_refused_where_that_is_asked_for(study, command):
    bad = study / "outputs" / "made_up" / "rows" / "other.parquet"
    bad.write_bytes(b"PAR1, and then nothing")
    before = files(study)
    done = memcap(study, *command.split(), "--strict")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "other.parquet: not a readable table of rows; without --strict" in done.err
    assert files(study) == before
    passed = memcap(study, *command.split())
    assert passed.status == 0
    assert passed.err.count("other.parquet: not a readable table of rows; skipped") == 1


def test_a_file_that_is_nobodys_is_not_to_be_deleted(study):
    (study / "hostname").write_text("a")
    for command, status in {
        "collect": 2,
        "answer --task latch --lag 5": 2,
        "verify": 1,
    }.items():
        done = memcap(study, *command.split(), "hostname")
        assert done.status == status
        assert "hostname: " in done.err + done.out
        assert "delete" not in done.err + done.out
    assert (study / "hostname").read_text() == "a"


def test_rows_of_a_task_that_is_not_there_are_left_out(study):
    """One's own task, whose module nobody has named, and a cell; and a knob that there is not."""
    changes = [
        {"task": "nowhere_tasks:Pulses", "knobs": "{}"},
        {"cell": "nowhere_cells:Leaky", "knobs": "{}"},
        {"knobs": '{"mood": 1}'},
    ]
    hints = [
        "--module nowhere_tasks",
        "--module nowhere_cells",
        "task.mood: no such field",
    ]
    expected = memcap(study, "frontier", "--json").out
    words = ["answer", "--task", "delay_line", "--lag", "3"]
    answer = memcap(study, *words).out
    rows = [
        sealed(row | change)
        for change in changes
        for row in group("latch", 9, {1: (1, 2)})
    ]
    write(study / "outputs" / "others", rows)
    done = memcap(study, "frontier", "--json")
    assert (done.status, done.out) == (0, expected)
    alone = memcap(study, "frontier", "outputs/others")
    assert (alone.status, alone.out) == (2, "")
    assert "none of its 6 rows can be read here" in alone.err
    told = [line for line in done.err.splitlines() if ": 2 rows left out: " in line]
    for line, hint in zip(sorted(told), sorted(hints), strict=True):
        assert hint in done.err
        assert line.startswith("memcap: ")
    assert memcap(study, *words).out == answer
    assert memcap(study, "figure", "frontier").status == 0
    collected = memcap(study, "collect", "outputs/others", "--json", "--csv")
    assert strict(collected.out) == {"file": "outputs/others/rows.csv", "rows": 6}
    keys = pl.read_parquet(study / "outputs/others/rows.parquet")["key"].to_list()
    assert pl.read_csv(study / "outputs/others/rows.csv")["key"].to_list() == keys


@pytest.mark.parametrize(
    "command", ["figure frontier -o", "collect", "export zz --layout flax -o"]
)
def test_what_cannot_be_written_is_named(study, command):
    (study / "file").write_text("")
    rows = "outputs/made_up/rows/made_up.parquet"
    place = rows if command == "collect" else "file/x.npz"
    before = files(study)
    done = memcap(study, *command.split(), place)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert files(study) == before


def test_json_of_a_frontier_has_its_columns(study):
    expected = [columns(p) for p in frontier(store.read(study / "outputs"))]
    for place in ([], ["outputs/made_up"], ["outputs/made_up/rows/made_up.parquet"]):
        done = memcap(study, "frontier", *place, "--json")
        assert strict(done.out) == expected


def test_collect_folds_and_changes_nothing_that_is_said(study):
    before = memcap(study, "frontier", "--json").out
    done = memcap(study, "collect", "outputs/made_up")
    assert done.out == "98 rows in outputs/made_up/rows.parquet\n"
    assert strict(memcap(study, "collect", "--json").out) == {
        "file": "outputs/rows.parquet",
        "rows": 98,
    }
    assert memcap(study, "frontier", "--json").out == before
    assert memcap(study, "frontier", "outputs/rows.parquet", "--json").out == before


def test_figure_is_drawn_with_its_numbers_beside_it(study):
    done = memcap(study, "figure", "frontier")
    assert done.out == "outputs/figures/frontier.png\n"
    drawn = study / "outputs" / "figures"
    names = {path.name for path in drawn.iterdir()}
    assert names == {f"frontier.{end}" for end in ("csv", "pdf", "png")}
    done = memcap(study, "figure", "frontier", "outputs/made_up", "-o", "elsewhere")
    assert done.out == "elsewhere/frontier.png\n"
    numbers = (drawn / "frontier.csv").read_text()
    assert (study / "elsewhere" / "frontier.csv").read_text() == numbers


def test_figure_is_drawn_in_the_formats_named(study):
    done = memcap(study, "figure", "frontier", "--format", "svg,png", "-o", "both")
    assert done.out == "both/frontier.svg\n"
    names = {path.name for path in (study / "both").iterdir()}
    assert names == {f"frontier.{end}" for end in ("csv", "png", "svg")}
    assert "<svg" in (study / "both" / "frontier.svg").read_text()


@pytest.mark.parametrize("command", ["figure frontier", "reproduce collins2017 --rows"])
@pytest.mark.parametrize("named", ["gif", "png,", ""])
def test_an_unknown_format_is_refused(study, command, named):
    done = memcap(study, *command.split(), "--format", named)
    line = f"--format: {named}: must be some of png,pdf,svg, with commas between them"
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert line in done.err


@pytest.mark.parametrize(("lag", "measured"), [(3, True), (5, False)])
def test_answer_in_words_and_json(study, lag, measured):
    words = "answer", "--task", "delay_line", "--lag", lag
    found = strict(memcap(study, *words, "--json").out)
    wanted = {"task": "delay_line", "lag": lag, "measured": measured}
    assert wanted.items() <= found.items()
    short = memcap(study, *words).out
    why = memcap(study, *words, "--why").out
    answered, _, more = short.rpartition("--why says what this rests on.")
    assert (" --measure trains what is missing" in more) == (not measured)
    assert why.startswith(answered)
    width = f"{found['units']} units. " if measured else "about "
    assert f"delay_line at lag {lag}: {width}" in short
    assert ("Best estimate" in why, "Best estimate" in short) == (True, False)
    assert ("\nTo train such nets:\n" in short) == measured
    assert f"\nlayer = keras.layers.LSTM({found['units']}, " in short
    assert f"\n{found['command']}\n" in short
    unsure = strict(memcap(study, *words, "--json", "--confidence", 0.2).out)
    assert unsure["units"] < found["units"]
    assert memcap(study, "answer", "delay_line", lag).out == short
    named = memcap(study, "answer", "delay_line", lag, "outputs").out
    assert named == memcap(study, *words, "outputs").out


@pytest.mark.parametrize("flag", [(), ("--json",), ("--code", "keras")])
def test_an_answer_is_measured_where_it_was_not(tmp_path, monkeypatch, flag):
    """What training prints stands above the words, and nowhere in JSON or a script."""
    trained = []

    def run(arguments):
        trained.append(arguments.overrides)
        print("trained")
        counts = {1: (0, 8), 2: (8, 8)}
        write(tmp_path / "outputs", group("latch", 7, counts, knobs={"symbols": 3}))

    monkeypatch.setattr(commands.find("train"), "run", run)
    words = [
        "answer",
        "--task",
        "latch",
        "--knob",
        "symbols=3",
        "--lag",
        "7",
        "--exactly",
    ]
    asked = memcap(tmp_path, *words, *flag, "--measure")
    assert asked.status == 0, asked.err
    assert [words[0] for words in trained] == ["task=latch"]
    if flag:
        assert asked.out == memcap(tmp_path, *words, *flag).out
        assert "trained" in asked.err
    else:
        assert asked.out.startswith(
            "trained\nlatch (symbols=3) at lag 7 alone: 2 units. "
        )
    memcap(tmp_path, *words, *flag, "--measure")
    assert len(trained) == 1


def test_answer_and_frontier_take_a_verdict_and_a_budget(tmp_path):
    counts = {2: (0, 8), 3: (8, 8), 4: (8, 8), 5: (8, 8)}
    few = group("delay_line", 3, counts, steady={3: 0})
    many = group("delay_line", 3, {1: (0, 8), 2: (8, 8)}, budget=9000)
    write(tmp_path / "outputs", few, many)
    for words, units in {
        "--budget 1500": 4,
        "--budget 1500 --at trained": 3,
        "": 2,
    }.items():
        line = f"answer --task delay_line --lag 3 --json {words}"
        found = strict(memcap(tmp_path, *line.split()).out)
        (point,) = strict(memcap(tmp_path, "frontier", "--json", *words.split()).out)
        assert (found["units"], found["source"]) == (units, "outputs")
        assert (point["u90"], point["at"]) == (found["u90"], found["at"])


def typed_in(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("by_name", [True, False])
def test_who_names_no_task_is_asked(study, monkeypatch, by_name):
    offered = [cls.name for cls in task_classes().values() if cls.question]
    which = "delay_line" if by_name else str(1 + offered.index("delay_line"))
    knobs = len(task_class("delay_line").asks)
    words = ["0", "what", which, *[""] * knobs, "many", "3", ""]
    typed_in(monkeypatch, "\n".join(words))
    done = memcap(study, "answer", "--json")
    assert done.status == 0
    assert "What has to be remembered?" in done.err
    assert "what: must be a number from 1 to " in done.err
    found = strict(done.out)
    assert (found["task"], found["lag"], found["measured"]) == ("delay_line", 3, True)
    line = done.err.split("The same in one line: memcap ")[1]
    assert strict(memcap(study, *shlex.split(line), "--json").out) == found


@pytest.mark.parametrize("text", ["\n", "latch\n\n\n"])
def test_enter_leaves_the_questions(study, monkeypatch, text):
    typed_in(monkeypatch, text)
    done = memcap(study, "answer")
    assert (done.status, done.out) == (0, "")


def test_who_has_sequences_or_does_not_know_is_told_what_to_do(study, monkeypatch):
    offered = sum(bool(cls.question) for cls in task_classes().values())
    for number in (offered + 1, offered + 2):
        typed_in(monkeypatch, f"{number}\n")
        done = memcap(study, "answer")
        assert done.status == 0
        assert "memcap fit my_table.csv --target COLUMN\n" in done.out


@pytest.mark.parametrize("text", ["", "1\n"])
def test_where_nobody_answers_it_is_one_line(study, monkeypatch, text):
    typed_in(monkeypatch, text)
    done = memcap(study, "answer")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1] == f"memcap: {NOBODY}"


def test_the_command_that_an_answer_gives_is_accepted(tmp_path):
    line = "answer --task latch --lag 50 --knob symbols=4 --json"
    found = strict(memcap(tmp_path, *line.split()).out)
    arguments = shlex.split(found["command"])[1:]
    assert memcap(tmp_path, *arguments, "seed=-1").err.startswith("memcap: ")
    done = memcap(tmp_path, *arguments, "--cfg", "job")
    assert "study: latch_L50\n" in done.out
    assert "symbols: 4\n" in done.out


def test_an_exported_member_is_the_one_that_was_trained(tmp_path):
    member = (
        "task=latch",
        "task.lag=5",
        "model.units=2",
        *TINY,
        "evaluation.sequences=256",
    )
    assert memcap(tmp_path, "train", *member).status == 0
    (row,) = store.read(tmp_path / "outputs").iter_rows(named=True)
    export = "export", row["key"][:8], "--layout"
    done = memcap(tmp_path, *export, "keras", "-o", "w.npz")
    names = "lstm/kernel, lstm/recurrent_kernel, lstm/bias, dense/kernel, dense/bias"
    assert done.out.startswith(f"w.npz: {names} (latch, ")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as read:
        arrays = dict(read)
    assert [a.shape for a in arrays.values()] == [(7, 8), (2, 8), (8,), (2, 2), (2,)]
    assert {a.dtype for a in arrays.values()} == {np.dtype("float32")}
    batch = draw(task_class("latch")(), 5, seed=7, steps=7, batch=1024)
    one_hot = np.eye(7)[batch.inputs.T]
    score = (keras_outputs(arrays, one_hot)[:, -1].argmax(-1) == batch.targets).mean()
    assert score == pytest.approx(row["final"], abs=0.1)
    # far from chance: other weights, or gates in another order, would not pass
    assert row["final"] > 0.9
    for layout, first in {
        "torch": "lstm.weight_ih_l0",
        "flax": "cell.dense_i.kernel",
    }.items():
        done = memcap(tmp_path, *export, layout, "-o", f"{layout}.npz")
        assert done.out.startswith(f"{layout}.npz: {first}, ")
    done = memcap(tmp_path, *export, "keras", "-o", "w.txt")
    assert (done.status, done.err) == (2, "memcap: w.txt: must end in .npz\n")


def in_a_new_process(folder, script, **environment):
    """Run a script where nothing is imported yet; it must end well."""
    done = python(folder, "-c", script, **environment)
    assert done.returncode == 0, done.stderr


def test_what_runs_no_command_imports_no_library(tmp_path):
    """So that help answers at once."""
    script = (
        "import sys; from memcap import cli\nfor line in '--help', '--version',"
        " 'nope':\n    try: cli.main(line.split())\n    except SystemExit: pass\n    found ="
        " {'jax', 'matplotlib', 'numpy', 'polars', 'hydra', 'rich'} & set(sys.modules)\n   "
        " commands = [name for name in sys.modules if name.startswith('memcap.commands.')]\n   "
        " assert not found and not commands, (line, found, commands)"
    )
    in_a_new_process(tmp_path, script)


@pytest.mark.breadth
def test_what_draws_nothing_waits_for_no_matplotlib(tmp_path):
    """So that training begins, and an answer comes, sooner."""
    script = (
        "import sys; from memcap import cli\n"
        "cli.main(['answer', '--task', 'delay_line', '--lag', '20'])\n"
        "cli.main(['train', 'task=latch', 'task.lag=1', 'model.units=1', 'recipe.budget=10'])\n"
        "assert 'matplotlib' not in sys.modules"
    )
    in_a_new_process(tmp_path, script)


@pytest.mark.parametrize("arguments", ["tasks --json", *leave(["train --info config"])])
def test_a_closed_pipe_ends_without_a_traceback(tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does once it has its lines
    command = [sys.executable, "-m", "memcap", *arguments.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": writer, "stderr": subprocess.PIPE, "check": False}
    done = subprocess.run(command, cwd=tmp_path, env=environment, **pipes)
    os.close(writer)
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_terminal_that_lacks_a_letter_has_the_rest_of_the_line(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(cli, "_run", lambda arguments: print("700 µs"))
    cli.main([])
    assert written.getvalue() == b"700 ?s\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_nowhere(tmp_path, closed):
    """And no file that is opened later takes its place."""
    script = (
        "from memcap.__main__ import open_streams; open_streams()\n"
        "import sys; print(1); print(2, file=sys.stderr); sys.stdin.read()\n"
        "with open('opened', 'w') as file: assert file.fileno() > 2\n"
    )
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = f"{shlex.quote(sys.executable)} script.py {closed}"
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "check": False}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, **quiet)
    assert (tmp_path / "opened").exists()
    assert (done.returncode, done.stderr.replace(b"2\n", b"")) == (0, b"")


@pytest.mark.parametrize(
    "flag", ["--hydra-help", "--info", "--cfg all", "-sc query=sh"]
)
def test_a_flag_of_hydras_that_prints_trains_nothing(tmp_path, monkeypatch, flag):
    """Nor does it compose where it need not."""
    monkeypatch.setattr(session, "run_study", None)
    monkeypatch.delenv("COMP_LINE", raising=False)
    done = memcap(tmp_path, "train", *flag.split())
    assert "Traceback" not in done.err
    is_bad = flag.startswith("-sc")
    assert (done.status, bool(done.out)) == ((2, False) if is_bad else (0, True))
    assert not list(tmp_path.iterdir())


def test_a_variable_that_jax_does_not_take_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "perhaps")
    name = "JAX_ENABLE_X64"
    monkeypatch.setattr(cli, "_run", lambda _: jax_config.bool_env(name, False))
    done = memcap(tmp_path)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "JAX_ENABLE_X64=perhaps" in done.err
    assert "JAX does not take it (invalid truth value" in done.err


def test_the_parser_of_all_commands_knows_the_options_of_each():
    words = ["judge", "my:net", "--task", "latch", "--golf"]
    arguments = cli.parser().parse_args(words)
    assert (arguments.task, arguments.golf) == ("latch", True)
