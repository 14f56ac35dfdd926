"""Send a study's rows and curves to W&B, while it trains or long afterwards. If a run
exists already, it is continued.

Read more: memcap docs tracking
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from memcap.commands.arguments import add_strict, location
from memcap.knobs import UserError, typed
from memcap.store import heartbeat, shards
from memcap.store.shards import OUTPUTS, Study, is_published
from memcap.store.status import studies
from memcap.tracking import WANDB_MODES, Mirror, Tracking

OPTIONS = ("project", "entity", "wandb")  # that are knobs of tracking, too


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    about = "folder of a study, or of many (default: outputs)"
    add("results", type=location, nargs="?", default=OUTPUTS, help=about)
    add_strict(parser)
    add("--project", help="W&B project (default: WANDB_PROJECT, or memcap)")
    add("--entity", help="W&B user or team (default: the account's)")
    about = "auto: online only where a key is present (default)"
    add("--wandb", choices=WANDB_MODES, default="auto", help=about)


def run(arguments: Namespace) -> None:
    place = arguments.results
    options = {name: getattr(arguments, name) for name in OPTIONS}
    settings = typed(Tracking, {"mode": "wandb", **options}, "tracking")
    if settings.is_disabled:
        raise UserError("WANDB_MODE=disabled: turns W&B off; unset it to send a folder")
    if is_published(place):
        raise UserError(
            f"{place}: these published rows belong to no study that could be sent; give a folder"
        )
    if shards.read(place, arguments.strict).is_empty():  # before a service starts
        raise shards.no_rows(place)
    for folder in [place] if place.is_file() else studies(place):
        mirrors = _mirrors(settings, folder)
        if not mirrors:
            raise shards.no_rows(folder)
        for mirror in mirrors:
            if where := mirror.finish():
                print(where)
            if left := mirror.left():
                print(left, file=sys.stderr)


def _mirrors(settings: Tracking, folder: Path) -> list[Mirror]:
    tables, _ = shards.read_files(folder, below=False)
    names = [name for table in tables.values() for name in table["study"]]
    names += [beat.study for beat in heartbeat.read(folder).values()]
    return [Mirror(settings, Study(folder, name)) for name in dict.fromkeys(names)]
