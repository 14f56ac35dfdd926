"""Redraw a paper: train what its study lacks, draw its figure, and compare its claims with
ours.

Each paper is a study, sweeps/papers/NAME.yaml, with its claims and published rows in
sweeps/papers/NAME.

  memcap reproduce --list
      print question, source, cost and hardware of papers: first those on which the most
      rests; with --all also studies after a paper that we know from notes of others
  memcap reproduce collins2017
      train its study into outputs/collins2017, draw, compare
  memcap reproduce collins2017 --rows --check
      judge its published rows; exit status 1 if a verdict changed
  memcap reproduce collins2017 --rows DIR
      judge other rows
  memcap reproduce collins2017 --rows --resample
      judge shuffled outcomes and other seeds, too
  memcap reproduce collins2017 --tiny
      train a tiny version; its verdicts mean nothing
  memcap reproduce collins2017 engine.workers=1
      further words are overrides, as `memcap train` takes them
  memcap reproduce my_papers:hello --config-dir my_conf
      your own paper, with the study my_conf/sweeps/hello.yaml

Read more: memcap docs papers
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import polars as pl
import yaml

from memcap import figures, findings
from memcap.api import train
from memcap.commands.arguments import (
    add_format,
    add_output,
    folder_of,
    location,
    positive,
)
from memcap.config.member import Member
from memcap.findings import resample
from memcap.knobs import UserError, grouped
from memcap.launch import app
from memcap.runtime import ROOT, plugins
from memcap.store import files, rows_of
from memcap.store.shards import OUTPUTS, choice, folder, rows_file
from memcap.terminal.words import Blocks, Column, complain, plural, show

CLAIMS = (
    Column("claim"),
    Column("verdict"),
    Column(
        "whose",
        "paper, the paper's claim; stand-in, a similar claim, about another cell, group or"
        " length; or ours, about the paper's experiment",
    ),
    Column("here", "our number"),
    Column("paper", "the paper's number"),
    Column("read", "where the claim was read"),
)
RESAMPLED = (
    Column("claim"),
    Column("verdict"),
    Column("within", "columns in which nets agree whose outcomes are shuffled"),
    Column(
        "shuffled",
        f"share of shuffles in which it holds; it counts up to {resample.BY_CHANCE:g}, but for"
        " claims of no effect",
    ),
    Column(
        "bootstrapped", "share of other draws of the seeds that give the same verdict"
    ),
)
LISTED = (
    Column("name"),
    Column("question"),
    Column("paper", "claims of the paper that hold"),
    Column("stand-in", "claims about another cell, group or length that hold"),
    Column("ours", "our claims about its experiment that hold"),
    Column("read", "what we read: the paper, the authors' code, or notes of others"),
    Column("cost", "measured cost of the default study"),
    Column("hardware"),
    Column("source"),
)
LISTED_DROPS = ("source", "hardware", "read")
TINY_BUDGET = 20
TINY_SEQUENCES = 256


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("name", nargs="?", help="a paper of --list, or MODULE:NAME of your own")
    about = "overrides for training, as `memcap train` takes them"
    add("overrides", nargs="*", metavar="KEY=VALUE", help=about)
    add("--list", action="store_true", help="list the papers")
    add("--all", action="store_true", help="with --list, also what is side questions")
    size = parser.add_mutually_exclusive_group()
    about = "train some members for some steps, to see whether all parts work"
    size.add_argument("--tiny", action="store_true", help=about)
    about = "train the paper's own sizes, if there is a study of them"
    size.add_argument("--full", action="store_true", help=about)
    about = (
        "judge the rows of a folder or file, or without PATH the published rows, and train"
        " nothing"
    )
    size.add_argument(
        "--rows", type=location, nargs="?", const=True, metavar="PATH", help=about
    )
    about = (
        "exit status 1 if a verdict is not the one that the paper's file expects, or with"
        " --resample one comes by chance"
    )
    add("--check", action="store_true", help=about)
    about = (
        "judge N shuffles of the outcomes, and N draws of the seeds, too: whether each verdict"
        f" could be another, and whether it stands (default: {resample.NUMBER}); adds"
        " resampled.csv"
    )
    add(
        "--resample",
        type=positive,
        nargs="?",
        const=resample.NUMBER,
        metavar="N",
        help=about,
    )
    about = "folder with sweeps/NAME.yaml, for a paper of your own"
    add("--config-dir", type=location, help=about)
    about = (
        "folder for figure and verdicts (default: paper/ beside the rows; of a paper's own rows"
        f" {OUTPUTS}/NAME/published)"
    )
    add_output(parser, about)
    add_format(parser)


def run(arguments: Namespace) -> None:
    if arguments.list:
        _list(arguments.all)
        return
    if arguments.name is None:
        raise UserError(
            f"which paper? one of {', '.join(findings.papers())}, or MODULE:NAME of your own;"
            " --list says more"
        )
    reproduction = findings.find(arguments.name)
    paper = reproduction.PAPER
    rows, place = _rows(arguments)
    table = findings.judge_claims(paper, rows)
    place = arguments.output or place
    with figures.own_style():
        drawn = reproduction.draw(rows)
        picture = figures.save(drawn, place, "figure", arguments.format)
    _write(table, place / "verdicts.csv")
    reasons = table.select("claim", "why").rows()
    notes = [f"Why not: {claim}: {why}" for claim, why in reasons if why]
    for claim in paper.claims:
        if claim.post_hoc:
            notes.append(
                f"Post hoc (rule changed after the rows were seen): {claim.text}"
            )
        if claim.denies:
            notes.append(f"No effect: {claim.text}; {claim.denies.size} would deny it")
    if arguments.tiny:
        notes.append("A tiny run shows that all parts work; its verdicts mean nothing.")
    lines = table.select(column.head for column in CLAIMS).rows()
    show(Blocks(f"{arguments.name}: {paper.source}", CLAIMS, lines, notes=notes))
    print(f"Figure: {picture} (numbers and verdicts beside it)")
    others = table.filter(~pl.col("expected"))["claim"]
    wrong = {f"not as {arguments.name} expects": others}
    if arguments.resample is not None:
        words = (
            f"in over {resample.BY_CHANCE:.0%} of shuffles, or of draws with the effect that they"
            " deny, these hold, too"
        )
        wrong[words] = _resample(paper, rows, arguments.resample, place)
    wrong = {words: claims for words, claims in wrong.items() if len(claims)}
    if not arguments.check:
        return
    for words, claims in wrong.items():
        complain(f"{words}: {'; '.join(claims)}")
    if wrong:
        raise SystemExit(1)
    print(f"Checked: {plural(len(lines), 'verdict')}, as {arguments.name} expects.")


def _resample(
    paper: findings.Paper, rows: pl.DataFrame, number: int, place: Path
) -> pl.Series:
    table = resample.resample(paper, rows, number)
    _write(table, place / "resampled.csv")
    shares = pl.col("shuffled", "bootstrapped").round(3).cast(pl.String).fill_null("-")
    selection = table.with_columns(shares).select(column.head for column in RESAMPLED)
    title = f"Of {number} shuffles of outcomes, and {number} draws of seeds"
    effects = table.drop_nulls("seen").select("claim", "effect", "seen").rows()
    notes = [
        f"No effect: {claim}; {size} would deny it in {seen:.1%} of draws"
        for claim, size, seen in effects
    ]
    show(Blocks(title, RESAMPLED, selection.rows(), notes=notes))
    return resample.find_chance(table)


def _write(table: pl.DataFrame, path: Path) -> None:
    files.replace(path, table.write_csv().encode())


def _rows(arguments: Namespace) -> tuple[pl.DataFrame, Path]:
    name = arguments.name.rpartition(":")[2]
    if arguments.rows is not None:
        if arguments.overrides:
            raise UserError(
                f"{arguments.overrides[0]}: overrides are for training, and --rows trains"
                " nothing; leave one out"
            )
        if arguments.rows is True:  # no path
            return _published(arguments.name), OUTPUTS / name / "published"
        return rows_of(arguments.rows), folder_of(arguments.rows) / "paper"
    study = f"{name}_full" if arguments.full else name
    if arguments.full and not _is_study(study, arguments.config_dir):
        raise UserError(
            f"--full: there is no study {study}; the default study of {name} is all there is"
        )
    overrides = [f"sweeps={choice(study)}", *arguments.overrides]
    if arguments.tiny:
        ((job,),) = app.compose_jobs(overrides, arguments.config_dir)
        settings = job.settings
        folder = settings.folder.with_name(f"{settings.folder.name}_tiny")
        name = settings.study.name
        train(tiny(job.members), folder, study=name, engine=settings.engine)
    else:
        if arguments.config_dir is not None:
            overrides += ["--config-dir", str(arguments.config_dir)]
        (folder,) = app.main(overrides)
    return rows_of(folder), folder / "paper"


def _published(name: str) -> pl.DataFrame:
    path = rows_file(name)
    if plugins.is_import_path(name) or not path.is_file():
        raise UserError(
            f"--rows: {name} has no published rows; give the folder of others, as in --rows"
            " outputs/mine"
        )
    return rows_of(path)


def _is_study(name: str, config_dir: Path | None) -> bool:
    own = (config_dir or ROOT) / "sweeps" / name
    return any(path.with_suffix(".yaml").is_file() for path in (own, folder(name)))


def tiny(members: Sequence[Member]) -> list[Member]:
    """Take the narrowest and widest member at the least lag of each task, recipe and
    net."""
    groups = grouped(members, lambda m: (m.task, m.model.at_width(1), m.recipe.name))
    few = []
    for group in groups.values():
        least = min(member.lag for member in group)
        short = [member for member in group if member.lag == least]
        widths = attrgetter("model.units")
        for member in dict.fromkeys((min(short, key=widths), max(short, key=widths))):
            budget = min(member.recipe.budget, TINY_BUDGET)
            recipe = replace(member.recipe, budget=budget)
            sequences = min(member.evaluation.sequences, TINY_SEQUENCES)
            evaluation = replace(member.evaluation, sequences=sequences, stretch=1)
            few.append(replace(member, recipe=recipe, evaluation=evaluation))
    return few


def _list(everything: bool) -> None:
    shelf = yaml.safe_load((ROOT / "docs" / "shelf.yaml").read_text(encoding="utf-8"))
    front, archive = shelf["front"], shelf["archive"]
    papers = findings.papers()
    rows = []
    after = 0
    for name in sorted(papers, key=lambda n: (n in archive, n not in front)):
        paper = findings.find(name).PAPER
        after += paper.read == "notes"
        if name in archive and not everything:
            continue
        known = (getattr(paper, column.head) for column in LISTED[5:])
        rows.append([name, papers[name], *findings.counts(name).values(), *known])
    title = "Papers that memcap redraws: memcap reproduce NAME"
    totals = ", ".join(
        f"{whose} {held} of {of}" for whose, (held, of) in findings.totals().items()
    )
    notes = [
        (
            f"{len(papers) - after} papers redrawn, and {after} studies after a paper, known from"
            " notes of others (--all)."
        ),
        findings.strict_count(),
        f"Claims that hold here, by whose they are: {totals}.",
        findings.post_hoc_count(),
    ]
    show(Blocks(title, LISTED, rows, LISTED_DROPS, notes, leads=2))
