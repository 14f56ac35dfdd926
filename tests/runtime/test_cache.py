"""The cache folder: whose it is, and where it lies."""

import os
from pathlib import Path

from memcap.runtime import cache


def test_a_cache_of_another_user_is_not_used_by_this_process_and_those_that_it_starts(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(cache.PRIVATE_VARIABLE, "")
    usual = tmp_path / "memcap"
    cache.make(usual / "xla")
    assert {path.stat().st_mode & 0o777 for path in (usual, usual / "xla")} == {0o700}
    assert cache.folder() == usual
    stat = Path.stat
    with monkeypatch.context() as patch:  # root alone could give it to another
        mine = os.geteuid()
        patch.setattr(
            Path,
            "stat",
            lambda path, **how: os.stat_result(
                [0o40700, 0, 0, 1, mine + (path == usual), *[0] * 5]
            ),
        )
        private = cache.folder()
    assert private == cache.folder() != usual
    assert stat(private).st_mode & 0o077 == 0
    assert os.environ[cache.PRIVATE_VARIABLE] == str(private)
    assert capsys.readouterr().err.startswith(
        f"memcap: {usual}: belongs to another user, so no code from"
    )


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "memcap"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "memcap"
