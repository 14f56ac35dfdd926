"""Papers that are redrawn here, a folder each. A new folder here is a new paper; nothing else changes.

memcap/papers/NAME/ has

* paper.py, a file with
    * a docstring: its first line is the question, and stands in `memcap reproduce --list`; the rest says the
      protocol, and how ours differs;
    * `PAPER`, a `Paper`: source, cost, and claims, each with the number that the paper gives and how our rows
      are judged;
    * `draw(rows)`, as a figure has it (memcap/figures/): the paper's figure, with the numbers drawn;
* study.yaml, which `memcap train sweeps=NAME` and `memcap reproduce NAME` train. Further studies are called
  study_OTHER.yaml, for `sweeps=NAME_OTHER`; study_full.yaml may hold the paper's own sizes (`--full`);
* once it is published: rows.parquet, and what `memcap reproduce NAME --rows -o memcap/papers/NAME` makes of
  them: figure.png, figure.csv, verdicts.csv.

A paper that lives elsewhere is called by `module:name`: `memcap reproduce my_papers:hello --config-dir
my_conf` takes my_papers/hello.py, a file as paper.py, and the study my_conf/sweeps/hello.yaml.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import polars as pl

from memcap.figures import Drawn
from memcap.knobs import UserError
from memcap.runtime import plugins

ClaimStatus = Literal["holds", "does not hold", "not measured"]
Whose = Literal["paper", "ours"]
PLACE = Path(__file__).parent


class Finding(NamedTuple):
    """What our rows say of a claim.

    Args:
        ours: our number, in words.
        holds: whether the claim holds here; None: the rows do not say.
    """

    ours: str
    holds: bool | None

    @property
    def verdict(self) -> ClaimStatus:
        """In words."""
        return "not measured" if self.holds is None else "holds" if self.holds else "does not hold"


NOT_MEASURED = Finding("", None)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, or one of ours about its experiment.

    Rows must be able to deny it: where outcomes are shuffled over conditions, it no longer holds
    (tests/papers/test_shuffles.py).

    Args:
        text: the claim, in one line.
        paper: the paper's number, as it stands there.
        where: where it was read: the figure, table or section, or that it is of the abstract only.
        judge: our rows to a `Finding`; `NOT_MEASURED` where they lack what it needs.
        whose: "paper" where the paper makes the claim; "ours" where it only gives the experiment, and `paper`
            is its number to compare with.
        expected: whether it holds in the published rows; where it does not, `why` says the likely reason.
        why: the likely reason.
    """

    text: str
    paper: str
    where: str
    judge: Callable[[pl.DataFrame], Finding]
    whose: Whose = "paper"
    expected: bool = True
    why: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper, and what of it is checked.

    Args:
        source: authors, title, where and when it appeared, where to find it.
        cost: what the study costs, measured.
        claims: at least one.
        hardware: what the default study needs.
    """

    source: str
    cost: str
    claims: tuple[Claim, ...]
    hardware: str = "2 CPU cores"


class Reproduction(Protocol):
    """What a paper's file, here or elsewhere, must have."""

    __doc__: str | None
    PAPER: Paper

    def draw(self, rows: pl.DataFrame) -> Drawn:
        """The paper's figure."""
        ...


FOLDER = plugins.Folder["Reproduction"](__name__, "paper", ("draw",), inner="paper")


def summaries() -> dict[str, str]:
    """All papers of the package, with the first line of each one's docstring; none is imported."""
    return FOLDER.summaries()


def folder(name: str) -> Path:
    """Where a paper of the package has its studies, its published rows, and what was made of them."""
    return PLACE / name


def studies() -> dict[str, Path]:
    """The studies of the package's papers, by the name that `sweeps=` takes."""
    return {p.parent.name + p.stem.removeprefix("study"): p for p in sorted(PLACE.glob("*/study*.yaml"))}


def find(name: str) -> Reproduction:
    """The paper of this name, imported.

    Args:
        name: a folder of this one, or `module:name` for a paper that lives elsewhere.

    Raises:
        UserError: there is no such paper, or it lacks a part.
    """
    reproduction = FOLDER.find(name)
    if not isinstance(getattr(reproduction, "PAPER", None), Paper):
        raise UserError(
            f"paper={name}: has no PAPER, a memcap.papers.Paper; memcap.papers says what a paper must have"
        )
    return reproduction


def judge_claims(paper: Paper, rows: pl.DataFrame) -> pl.DataFrame:
    """One line per claim: whose it is, what the paper says, what our rows say, the verdict, and whether it is
    the one that the file expects.

    Args:
        paper: with its claims.
        rows: of trained members, as `memcap.store.read` gives them.
    """
    findings = [claim.judge(rows) for claim in paper.claims]
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
            for claim, finding in zip(paper.claims, findings, strict=True)
        ]
    )
