"""Tries to prove each net that memcap publishes, or each of a study, as `memcap prove`
does, and writes the verdicts into a file.

python sweeps/answers/nets/prove_nets.py
    the published nets, into sweeps/answers/nets/proofs.csv
python sweeps/answers/nets/prove_nets.py outputs/anywhere sweeps/answers/anywhere/proofs.csv lag=50
    the nets of a study whose rows have these values
"""

import argparse
from pathlib import Path

import polars as pl

from memcap import api, store
from memcap.commands.prove import HEADS, verdicts
from memcap.config.member import member_of
from memcap.store import nets
from memcap.store.rows import passed_column


def main() -> None:
    """Write a line per net for sequences in which nothing comes before what counts, and
    one for those with filler."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("place", nargs="?", type=Path, default=nets.folder())
    add("file", nargs="?", type=Path, default=nets.folder() / "proofs.csv")
    add("values", nargs="*", metavar="COLUMN=VALUE")
    arguments = parser.parse_args()
    wanted = [
        pl.col(column).cast(pl.String) == value
        for column, _, value in (text.partition("=") for text in arguments.values)
    ]
    rows = store.read(arguments.place).filter(*wanted).with_columns(passed_column())
    proofs = []
    for row in rows.sort("task", "knobs", "lag", "units", "seed").to_dicts():
        member = member_of(store.config_of(row))
        name = nets.name_of(member.task, member.lag)
        net = api.load(arguments.place, row["key"])
        for verdict in verdicts(name, net):
            proofs.append([*verdict[:-1], row["key"], row["passed"]])
            print(*proofs[-1], flush=True)
    heads = [*HEADS, "key", "passed"]
    # numbers of sequences are integers or floats
    table = pl.DataFrame(
        [list(map(str, proof)) for proof in proofs],
        dict.fromkeys(heads, str),
        orient="row",
    )
    seconds = pl.col("seconds").cast(float).round(2)
    table.with_columns(seconds).write_csv(arguments.file)


if __name__ == "__main__":
    main()
