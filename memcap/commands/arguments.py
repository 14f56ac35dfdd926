"""Arguments that several commands share, and their types. Needs no JAX."""

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from memcap.figures import FORMATS
from memcap.knobs import LONGEST, MOST, UserError
from memcap.models.model import MOST_LAYERS
from memcap.store.rows import AT
from memcap.store.shards import OUTPUTS, is_published

NET = (
    "key of the member, or its first digits, as in the rows; or a published net, as"
    " atlas:latch-L50"
)
PLACE = "folder of a study, or of many; or atlas, the rows that memcap publishes"


def add_results(parser: argparse.ArgumentParser) -> None:
    about = f"{PLACE} (default: {OUTPUTS})"
    parser.add_argument(
        "results", type=location, nargs="?", default=OUTPUTS, help=about
    )


def add_knobs(parser: argparse.ArgumentParser) -> None:
    about = "a knob of the task, as symbols=4; memcap tasks NAME lists them"
    parser.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help=about
    )


def add_verdict(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add `--at` and `--budget`; return the group of `--at`, for other options."""
    about = (
        "anywhere (default): right at this lag and all shorter ones, wherever in a sequence the"
        " task begins; up_to: right at this lag and all shorter ones; steady: right on longer"
        " sequences, too, where the task is a stream; trained: right at the trained lag and length."
        " A net that was not trained until a verdict is judged by the next one in this list; one of"
        " a delay line, which has one lag, by steady"
    )
    verdicts = parser.add_mutually_exclusive_group()
    verdicts.add_argument("--at", choices=AT, default=AT[0], help=about)
    about = "count only recipes of at most this many training steps (default: all)"
    parser.add_argument("--budget", type=positive, metavar="STEPS", help=about)
    return verdicts


def add_strict(parser: argparse.ArgumentParser) -> None:
    about = "stop at a bad file of rows (default: name it and skip it)"
    parser.add_argument("--strict", action="store_true", help=about)


def add_output(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("-o", "--output", type=location, help=about)


def add_format(parser: argparse.ArgumentParser) -> None:
    about = f"formats of the picture: {','.join(FORMATS)}, or some of these (default: png,pdf)"
    parser.add_argument(
        "--format",
        type=formats,
        default=FORMATS[:2],
        metavar="FORMAT[,FORMAT]",
        help=about,
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    about = "print JSON instead of words"
    parser.add_argument("--json", action="store_true", help=about)


def add_code(parser: argparse.ArgumentParser, frameworks: Sequence[str]) -> None:
    about = "write a script for this framework that trains a net of the width found"
    parser.add_argument("--code", choices=frameworks, help=about)
    about = (
        "file for the script; its sequences go into an .npz file beside it (default:"
        " print the script)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.py", help=about)


def check_code(arguments: argparse.Namespace) -> None:
    """Refuse `-o` without `--code`, which would write nothing."""
    if arguments.output and not arguments.code:
        raise UserError(
            f"-o {arguments.output}: is the file of a script; name its framework, as in"
            " --code keras"
        )


def print_code(
    arguments: argparse.Namespace, code: Callable[[str, Path | None, str], str]
) -> None:
    """Print a script, or say where `code` wrote it. `code` takes the framework, the
    file, if any, and the command that writes it."""
    output = arguments.output
    command = shlex.join(["memcap", *sys.argv[1:]])
    if output is None:
        print(code(arguments.code, None, f"{command} -o net.py"), end="")
        return
    code(arguments.code, output, command)
    beside = output.with_suffix(".npz")
    megabytes = beside.stat().st_size / 1e6
    print(f"{output}, and its sequences in {beside} ({megabytes:.1f} MB)")


def location(text: str) -> Path:
    """Refuse an empty name, as from an unset variable; it would mean the current
    folder."""
    if not text:
        raise argparse.ArgumentTypeError(
            "is empty; name a file or folder, . for this one"
        )
    return Path(text)


def formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(
                f"{text}: must be some of {','.join(FORMATS)}, with commas between them"
            )
    return names


def positive(text: str, most: int = MOST) -> int:
    value = int(text) if text.lstrip("-").isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    if value > most:
        raise argparse.ArgumentTypeError(f"{text}: must be at most {most:,}")
    return value


def steps(text: str) -> int:
    return positive(text, LONGEST)


def layers(text: str) -> int:
    return positive(text, MOST_LAYERS)


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            f"{text}: must be a number above 0 and below 1"
        )
    return value


def folder_of(results: Path) -> Path:
    """Return the folder to write into; published rows' results go beside studies."""
    if is_published(results):
        return OUTPUTS / "published" / results
    return results if results.is_dir() else results.parent
