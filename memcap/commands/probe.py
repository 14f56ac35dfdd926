"""Look into a trained net: what does its state hold, and how well?

  memcap probe KEY                                  all probes of a member under
                                                    outputs, each with a figure
  memcap probe KEY outputs/mine --what decoding     one probe; for several: --what decoding gates
  memcap probe atlas:delay_line-L8                  all probes of a published net
  memcap probe KEY --what my_module:mine            your own probe

Figures, with the numbers drawn as CSV, go to RESULTS/probes/KEY.

Read more: memcap docs probes
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from memcap import figures, probes, store
from memcap.commands.arguments import NET, add_json, add_output, add_results, folder_of
from memcap.config.member import member_of
from memcap.knobs import UserError
from memcap.store.nets import find_net
from memcap.store.shards import OUTPUTS
from memcap.terminal.words import Column, Listing, print_json, show
from memcap.trained import Trained


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="KEY", help=NET)
    add_results(parser)
    about = "probes (default: all), or MODULE:NAME of your own"
    parser.add_argument("--what", nargs="+", metavar="NAME", help=about)
    add_output(parser, "folder to write to (default: RESULTS/probes/KEY)")
    add_json(parser)
    lines = (f"  {name:<12} {text}" for name, text in probes.summaries().items())
    parser.epilog = "\n".join(["probes:", *lines])


def run(arguments: Namespace) -> None:
    selection = {
        name: probes.find(name) for name in arguments.what or probes.summaries()
    }
    place, row = find_net(arguments.results, arguments.run)
    net = Trained(member_of(store.config_of(row)), store.sound_weights_of(place, row))
    beside = folder_of(arguments.results) if place == arguments.results else OUTPUTS
    folder = arguments.output or beside / "probes" / row["key"]
    results = {}
    left_out: dict[str, str] = {}
    for name, each in selection.items():
        try:
            with figures.own_style():
                probed = each.probe(net)
        except probes.NotForThis as error:
            left_out[name] = str(error)
            if not arguments.json:
                print(error)
            continue
        picture = figures.save(probed, folder, name.rpartition(":")[2])
        results[name] = {"figure": str(picture), "table": probed.table.to_dicts()}
        if not arguments.json:
            show(_listing(name, probed, picture))
    if not results:
        raise UserError("; ".join(left_out.values()))
    if arguments.json:
        print_json({"key": row["key"], "probes": results, "left_out": left_out})


def _listing(name: str, probed: probes.Probed, picture: Path) -> Listing:
    table = probed.table
    columns = [
        Column(head, right=kind.is_numeric()) for head, kind in table.schema.items()
    ]
    notes = [*probed.notes, f"Figure: {picture} (numbers beside it)"]
    return Listing(name, columns, table.rows(), notes=notes)
