import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working directory, with W&B's own folders in it, offline."""
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("memcap.tracking.mirror.SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.chdir(tmp_path)
    return tmp_path
