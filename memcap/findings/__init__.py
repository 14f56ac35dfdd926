"""The vocabulary of sweeps/GROUP/NAME/findings.py, which says what was found in a
study.

Beside sweeps/GROUP/NAME.yaml, which a study trains, the folder sweeps/GROUP/NAME has

* rows.parquet, figures, README.md, and other_seeds.parquet if there are other seeds;
* findings.py, with
    * `TABLES`, which maps names of blocks of pages to functions that make them from
      the study's rows (memcap/findings/tables.py); and, if it redraws a paper,
    * a docstring: the question, then the paper's protocol, and how ours differs;
    * `PAPER`, a `Paper`: source, cost, and claims, each with the paper's number and a
      function that judges our rows;
    * `draw(rows)`, as in a figure's file (memcap/figures/);
* of a paper, by_eye.csv, if numbers were read by eye, and what `memcap reproduce NAME
  --rows --resample -o sweeps/papers/NAME` writes. NAME_full.yaml may have the paper's
  own sizes (`--full`).

Its words are in memcap/findings/claims.py and here:

* `having(task="parity", units=(2, 4))` keeps the rows with these values;
* `pick(nets, "solved", "cell", names)` gives the column `solved` as a list per cell;
* `each(groups, words, test)` is a `Finding`: the claim holds if the test is true for
  each group. In `words`, `{name}` is the group's name, and `{nets.mean}`,
  `{nets.most}` and so on are statistics of its numbers;
* `at_least(0.9)`, `at_most(0.1)`, `share_of(0.5)` are tests; `all_of` joins findings;
* `Claim.within` names columns: outcomes are shuffled, to say how sure a claim is, only
  among nets that are equal in these.

It imports the standard library, NumPy, SciPy, polars, Matplotlib, `memcap`, its tasks,
cells and figures, and memcap.findings.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import polars as pl
import yaml

from memcap.figures import Drawn
from memcap.knobs import UserError, alternatives
from memcap.runtime import plugins
from memcap.store.lengths import first_failures, over_lengths
from memcap.store.shards import folder, load_findings as load, with_findings as names
from memcap.terminal.words import first_paragraph, plural
from memcap.thresholds import curve

__all__ = [
    "NOT_MEASURED",
    "Claim",
    "ClaimStatus",
    "Effect",
    "Finding",
    "OurClaim",
    "Paper",
    "Read",
    "Reproduction",
    "StandIn",
    "Whose",
    "by_eye",
    "counts",
    "curve",
    "find",
    "first_failures",
    "folder",
    "judge_claims",
    "judged_again",
    "load",
    "names",
    "over_lengths",
    "papers",
    "plural",
    "post_hoc_count",
    "strict_count",
    "study_config",
    "tally",
    "totals",
]

ClaimStatus = Literal["holds", "does not hold", "not reached", "not measured"]
Whose = Literal["paper", "stand-in", "ours"]
Read = Literal["paper", "code", "notes"]
WHOSE = get_args(Whose)


class Finding(NamedTuple):
    """The outcome of a claim on our rows."""

    ours: str  # our number, in words; empty if the rows lack nets
    holds: bool | None  # whether the claim holds here; None if the rows do not say

    @property
    def verdict(self) -> ClaimStatus:
        if self.holds is None:
            return "not reached" if self.ours else "not measured"
        return "holds" if self.holds else "does not hold"


NOT_MEASURED = Finding("", None)


class Effect(NamedTuple):
    """An effect that a claim denies, of the least size that the rows would show.

    Where nothing has an effect, shuffles cannot make such a claim fail; rows into which
    the effect was put must.
    """

    size: str  # in words, as "18 units in place of 16 after 50 steps"
    put: Callable[[pl.DataFrame], pl.DataFrame]  # puts the effect into rows


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, or one of ours about its experiment.

    A claim that holds must fail in 95 % of shuffles of the outcomes over the conditions
    that it compares; one of no effect, in 95 % of draws of seeds from rows with that
    effect (memcap/findings/resample.py).
    """

    text: str  # the claim, in one line
    paper: str  # the paper's number, as written there
    where: str  # the figure, table or section where it was read
    # maps `Paper.table` of our rows to a `Finding`, which is `NOT_MEASURED` if the table lacks nets
    judge: Callable[[pl.DataFrame], Finding]
    # "paper" if the paper makes the claim; "stand-in" if the paper makes it about
    # another cell, group or length, for which ours stands in; "ours" if the paper only
    # has the experiment, and a number to compare with
    whose: Whose = "paper"
    # columns, or knobs of the task, that the claim does not compare: outcomes are
    # shuffled only among nets that are equal in these
    within: tuple[str, ...] = ()
    denies: Effect | None = None  # of a claim of no effect: what it would have seen
    post_hoc: bool = False  # its rule was changed after its rows had been seen
    why: str = ""  # the likely reason why it does not hold in the published rows; empty if it does
    # False if the published nets, trained for less than the paper's, do not learn what it
    # is about, or learn on easier sequences what the paper's do not: then they do not
    # deny it
    reached: bool = True

    @property
    def expected(self) -> bool | None:
        """Return whether the claim should hold in the published rows; None if it is
        not reached."""
        return not self.why if self.reached else None


StandIn = partial(Claim, whose="stand-in")
OurClaim = partial(Claim, whose="ours")


@dataclass(frozen=True)
class Paper:
    """A paper and its claims."""

    source: str  # authors, title, venue, year, and where to find it
    cost: str  # measured cost of the study
    claims: tuple[Claim, ...]  # at least one
    hardware: str = "2 CPU cores"  # the hardware that the default study needs
    # what was read: "paper", its text; "code", the authors' code and figures, and of the
    # text at most the abstract; "notes", notes by others and at most the beginning or
    # the end of the text. With "notes" it counts as a study after a paper, not as a
    # redrawn paper
    read: Read = "paper"
    # maps our rows to the table on which claims are judged; by default the rows themselves
    table: Callable[[pl.DataFrame], pl.DataFrame] = pl.DataFrame.clone

    def findings(self, rows: pl.DataFrame) -> list[Finding]:
        data = self.table(rows)
        return [
            found if claim.reached else found._replace(holds=found.holds or None)
            for claim in self.claims
            for found in (claim.judge(data),)
        ]


class Reproduction(Protocol):
    """The file of a paper."""

    __doc__: str | None
    PAPER: Paper

    def draw(self, rows: pl.DataFrame) -> Drawn:
        """Draw the paper's figure."""
        ...


@cache
def papers() -> dict[str, str]:
    """Return the question of each paper that memcap redraws, by name; none is
    imported."""
    sources = {
        name: (folder(name) / "findings.py").read_text("utf-8") for name in names()
    }
    return {
        name: first_paragraph(ast.get_docstring(ast.parse(source)))
        for name, source in sources.items()
        if "\nPAPER = " in source
    }


def study_config(study: str) -> dict[str, Any]:
    """Return what a study's NAME.yaml sets."""
    return yaml.safe_load(folder(study).with_suffix(".yaml").read_text("utf-8"))


def by_eye(study: str) -> pl.DataFrame:
    """Read by_eye.csv beside a paper's `__file__`."""
    return pl.read_csv(Path(study).with_name("by_eye.csv"))


def find(name: str) -> Reproduction:
    """Import a paper, by name or `module:name`; raise UserError if there is none, or if
    it lacks a part."""
    if plugins.is_import_path(name):
        paper = plugins.import_object(name, "paper")
    elif name in papers():
        paper = load(name)
    else:
        names = alternatives(name, papers(), "MODULE:NAME of your own")
        raise UserError(f"{name}: no such paper; {names}")
    if not callable(getattr(paper, "draw", None)):
        raise UserError(
            f"paper={name}: has no function draw; memcap.findings says what a paper must"
            " have"
        )
    if not isinstance(getattr(paper, "PAPER", None), Paper):
        raise UserError(
            f"paper={name}: has no PAPER, a memcap.findings.Paper; memcap.findings says what"
            " a paper must have"
        )
    return paper


def tally(name: str) -> dict[Whose, tuple[int, int]]:
    """Return by `Claim.whose` how many claims hold in a paper's published rows, and how
    many hold or do not."""
    path = folder(name) / "verdicts.csv"
    if not path.is_file():
        return dict.fromkeys(WHOSE, (0, 0))
    lines = pl.read_csv(path, infer_schema=False).select("whose", "verdict").rows()
    return {
        whose: (
            n := lines.count((whose, "holds")),
            n + lines.count((whose, "does not hold")),
        )
        for whose in WHOSE
    }


def counts(name: str) -> dict[Whose, str]:
    """Return `tally` in words: "2 of 3"; "-" if there are no claims."""
    return {
        whose: f"{hold} of {total}" if total else "-"
        for whose, (hold, total) in tally(name).items()
    }


def totals() -> dict[Whose, tuple[int, int]]:
    """Return the sums of `tally` over all papers of the package."""
    each = [tally(name) for name in papers()]
    return {
        whose: (sum(t[whose][0] for t in each), sum(t[whose][1] for t in each))
        for whose in each[0]
    }


def strict_count() -> str:
    """Say how many papers were read, and how many of their own claims were judged and
    hold."""
    read = [name for name in papers() if find(name).PAPER.read == "paper"]
    claims = [claim for name in read for claim in find(name).PAPER.claims]
    own = [claim for claim in claims if claim.whose == "paper"]
    held = [claim for claim in own if claim.expected]
    judged = sum(claim.reached for claim in own)
    return (
        f"We read the text of {len(read)} papers and judge {judged} of their own claims, by"
        f" scaled-down protocols of ours: {len(held)} hold (on other seeds,"
        f" {_on_other_seeds(held)}). {len(own) - judged} more are not reached: the paper's nets"
        " were trained for longer, or tuned one by one."
    )


def judged_again(name: str) -> dict[str, dict[str, str]]:
    """Return the lines of other_seeds.csv, the verdicts of `memcap reproduce NAME
    --rows sweeps/papers/NAME/other_seeds.parquet`, by claim."""
    path = folder(name) / "other_seeds.csv"
    if not path.is_file():
        return {}
    lines = pl.read_csv(path, infer_schema=False).fill_null("").to_dicts()
    return {line["claim"]: line for line in lines}


def _on_other_seeds(claims: Sequence[Claim]) -> str:
    """Say how many of some claims hold on other seeds: "17 of 20"."""
    again = {
        claim: line for name in papers() for claim, line in judged_again(name).items()
    }
    verdicts = [again[claim.text]["verdict"] for claim in claims if claim.text in again]
    return f"{verdicts.count('holds')} of {len(verdicts)}"


def post_hoc_count() -> str:
    """Say how many claims that hold have a rule changed after the rows were seen."""
    claims = [claim for name in papers() for claim in find(name).PAPER.claims]
    held = [claim for claim in claims if claim.expected]
    late = [claim for claim in held if claim.post_hoc]
    return (
        f"{len(late)} of the {len(held)} claims that hold are post hoc: their rule was changed"
        f" after the rows were seen. On other seeds {_on_other_seeds(held)} claims hold, too; of"
        f" those that are post hoc {_on_other_seeds(late)}."
    )


def judge_claims(paper: Paper, rows: pl.DataFrame) -> pl.DataFrame:
    """Judge each claim on rows of trained members; return a line for each."""
    return pl.DataFrame(
        [
            {
                "claim": claim.text,
                "whose": claim.whose,
                "paper": claim.paper,
                "read": claim.where,
                "here": finding.ours,
                "verdict": finding.verdict,
                "expected": finding.holds == claim.expected,
                "why": claim.why,
            }
            for claim, finding in zip(paper.claims, paper.findings(rows), strict=True)
        ]
    )
