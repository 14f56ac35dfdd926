"""Run the page's nets outside a browser, in Node (Debian: apt install nodejs)."""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def run(script: str, **values: Any) -> Any:
    """Run a script in JavaScript, beside the page's classes.

    Args:
        script: sets `result`, which must be JSON.
        values: variables of the script.

    Returns:
        The result.

    Raises:
        subprocess.CalledProcessError: the script fails; the error is on stderr.
    """
    parts = [
        (HERE / name).read_text(encoding="utf-8") for name in ("net.js", "train.js")
    ]
    parts += [f"const {name} = {json.dumps(value)};" for name, value in values.items()]
    parts += ["let result;", script, "console.log(JSON.stringify(result));"]
    done = subprocess.run(
        ["node", "-"],
        input="\n".join(parts),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
