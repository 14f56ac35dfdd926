"""Where memcap's own files lie: conf/, sweeps/ and examples/ of the wheel, or of a checkout."""

import subprocess
from pathlib import Path


def root() -> Path:
    """Return the folder of conf/ and sweeps/: the wheel's package, or a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent


def git_commit() -> str | None:
    """Return the commit of a checkout; None for a wheel, or if unknown."""
    if not (root() / ".git").exists():
        return None
    git = ["git", "-C", str(root()), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(
            git, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
