"""The command `memcap`, also as `python -m memcap`: handles signals first, and only
then imports the rest."""

# As `signal`, which imports more, for some milliseconds.
import _signal as signal  # ty: ignore[import-not-found]

# until `main` handles it, as Python's own handler would end an import with a traceback
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import sys

from memcap.runtime import signals


def main() -> None:
    """Run the command that was typed."""
    open_streams()
    with signals.watching():
        from memcap import cli

        cli.main()


def open_streams() -> None:
    """Open standard streams that the shell closed, as by `>&-`, to nowhere: otherwise a
    file that is opened later would take their place, and printed text would go into
    it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    main()
