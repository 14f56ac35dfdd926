"""XLA's flags: each is tried in a process of its own, once per jaxlib, and a user's own
values stay."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jaxlib
import pytest

from memcap.knobs import UserError
from memcap.runtime import flags

KNOWN = "--xla_cpu_prefer_vector_width=512"
UNKNOWN = "--xla_no_such_flag=true"
complete = flags.complete.__wrapped__  # each time anew


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", "")


def verdict_of(flag: str) -> str:
    """Name of the file that keeps the verdict on a flag."""
    return f"flag-jaxlib-{jaxlib.__version__}-{flags.digest(flag)}"


def verdicts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "memcap").glob("flag*")}


@pytest.mark.parametrize(
    ("tried", "theirs", "after"),
    [
        ((UNKNOWN, KNOWN), "", KNOWN),
        (
            (KNOWN,),
            "--xla_cpu_enable_fast_math=false",
            f"--xla_cpu_enable_fast_math=false {KNOWN}",
        ),
        (
            (KNOWN,),
            "--xla_cpu_prefer_vector_width=256",
            "--xla_cpu_prefer_vector_width=256",
        ),
    ],
)
def test_each_flag_that_is_known_comes_to_a_users_own(
    monkeypatch, tried, theirs, after
):
    monkeypatch.setenv("XLA_FLAGS", theirs)
    monkeypatch.setattr(flags, "CPU_FLAGS", tried)
    assert complete() == after


def test_a_failure_that_is_not_the_flags_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(flags, "_PROBES", ("raise SystemExit(3)",))
    assert not flags.is_known(KNOWN)
    assert verdicts(tmp_path) == {}


@pytest.mark.parametrize(
    ("verdict", "known"), [("no", False), ("yes", True), ("", True), ("ye", True)]
)
def test_a_verdict_is_believed_if_it_is_whole(tmp_path, verdict, known):
    (tmp_path / "memcap").mkdir()
    (tmp_path / "memcap" / verdict_of(KNOWN)).write_text(verdict)
    assert flags.is_known(KNOWN) is known
    assert verdicts(tmp_path) == {verdict_of(KNOWN): "yes" if known else "no"}


def test_two_verdicts_that_are_written_at_once_are_both_kept(tmp_path, monkeypatch):
    """Flags are tried side by side: each verdict is first written to a file of its
    own."""
    both = threading.Barrier(2)
    replace = Path.replace

    def late(path, target):
        both.wait(60)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", late)
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(flags.is_known, [KNOWN, UNKNOWN])) == [True, False]
    assert verdicts(tmp_path) == {verdict_of(KNOWN): "yes", verdict_of(UNKNOWN): "no"}
    assert len(list((tmp_path / "memcap").iterdir())) == 2


@pytest.mark.parametrize(("flag", "works"), [(KNOWN, True), (UNKNOWN, False)])
def test_a_flag_is_tried_by_jax_itself_where_jaxlib_is_not_as_it_was(
    tmp_path, monkeypatch, flag, works
):
    monkeypatch.setattr(flags, "_PROBES", ("from jaxlib import gone", flags._PROBES[1]))
    assert flags.is_known(flag) is works
    assert verdicts(tmp_path) == {verdict_of(flag): "yes" if works else "no"}


def test_a_file_of_flags_is_read_and_one_that_is_not_there_is_one_line(
    tmp_path, monkeypatch
):
    """XLA would take our flags for a part of the file's name."""
    (tmp_path / "flags").write_text("--xla_a=1\n--xla_b=2\n")
    monkeypatch.setattr(flags, "_verdict", lambda flag: "yes")
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "flags"))
    assert complete() == " ".join(["--xla_a=1", "--xla_b=2", *flags.CPU_FLAGS])
    (tmp_path / "words").write_text("root:x:0:0\n")
    for name in (tmp_path, tmp_path / "nowhere", tmp_path / "words"):
        monkeypatch.setenv("XLA_FLAGS", str(name))
        with pytest.raises(UserError, match="nor a file of flags"):
            complete()


def test_a_users_flag_that_would_abort_is_one_line(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", UNKNOWN)
    monkeypatch.setattr(
        flags, "_verdict", lambda flag: "no" if flag == UNKNOWN else "yes"
    )
    with pytest.raises(
        UserError, match=f"^XLA_FLAGS={UNKNOWN}: this jaxlib knows no such flag"
    ):
        complete()
