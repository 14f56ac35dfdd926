"""The tables and sentences of README, docs and sweeps/ that hold measured numbers,
made from the rows.

python docs/tables.py           writes them, as `make tables` does
python docs/tables.py --check   writes nothing; exit status 1 and a line per page that
                                would change

A block of a page stands between `<!-- NAME -->` and `<!-- end -->`. NAME is one of the
`TABLES` of a study's findings.py, or of this file's; or a line that begins with
`memcap`: then the block is what this command prints. Or it calls `counts`: then the
block is this line of Python and its table. `study NAME` and `paper NAME` say what a
study asks and what was found.
"""

import contextlib
import inspect
import io
import itertools
import json
import re
import shlex
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import polars as pl
import yaml

from memcap import cli, figures, findings, store
from memcap.confirmation import anywhere_words
from memcap.findings import resample
from memcap.findings.tables import counts, filled, table
from memcap.rule import Criterion, Evaluation, solved_words, steady_words, up_to_words
from memcap.store import shards
from memcap.store.columns import EVALUATION, MODEL, RECIPE
from memcap.store.rows import COLUMNS
from memcap.store.shards import AGAIN, STUDIES, choice, folder, rows_file, sweeps

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(<!-- (?P<name>[^\n]+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL
)
TOGETHER = {  # studies that are drawn together, by the first of them and the figure
    ("up_to", "lags"): ("up_to", "atlas", "ggt"),
    ("atlas", "gap"): ("atlas", "other_tasks", "muon", "ggt"),
    ("atlas", "atlas"): ("atlas", "muon", "ggt"),
    ("cell_map", "cell_map"): STUDIES["cell_map"],
    ("cell_map", "gap"): STUDIES["cell_map"],
    ("cell_map_tasks", "cell_map"): STUDIES["cell_map_tasks"],
    ("cell_map_bits", "cell_map_bits"): findings.load("cell_map_bits").STUDIES,
    ("cell_map_steps", "cell_map_steps"): findings.load("cell_map_steps").STUDIES,
    ("recall_pairs", "recall_pairs"): findings.load("recall_pairs").STUDIES,
    ("optimizers", "optimizers"): (
        "optimizers",
        "optimizers_frontier",
        "optimizers_seconds",
        "optimizers_fifty",
    ),
}
FRONT = yaml.safe_load((ROOT / "docs" / "shelf.yaml").read_text("utf-8"))["front"]
GROUPS = {  # of other studies, by the folder of sweeps/
    "": "To read first",
    "answers": "What else `memcap answer` rests on",
    "cells": "More on cells",
    "cells/supplement": "Supplements to the map of cells",
    "training": "How nets were trained better",
    "papers": "A paper at its own lags",
    "other": "Side questions",
}
READ = {
    "paper": "",
    "code": " The authors' code was read, and of the text at most the abstract.",
    "notes": " A study after the paper, which is known from notes of others.",
}


def solved() -> str:
    """The rule by which a member is solved."""
    return filled(solved_words(str(Criterion("accuracy", 0.99)), Evaluation()))


def steady() -> str:
    """The rule by which it is steady."""
    return filled(steady_words(Evaluation().stretch, Evaluation().every))


def anywhere_rule() -> str:
    """Say what "anywhere" means."""
    return filled(anywhere_words(Evaluation().every))


def up_to_rule() -> str:
    """The rule by which it is right at every lag up to its own."""
    return filled(up_to_words(Evaluation().every))


def redrawn() -> str:
    """The papers, with how many of their claims hold here, and of ours about their
    experiments; apart from them the studies after a paper of which notes alone were
    read."""
    code = []
    lines = []
    notes = []  # lines of papers of which notes alone were read
    for name, question in findings.papers().items():
        if not (folder(name) / "verdicts.csv").is_file():
            continue
        read = findings.find(name).PAPER.read
        if read == "code":
            code.append(f"`{name}`")
        link = f"[`{name}`](../sweeps/{choice(name)}/README.md)"
        line = link, question, *findings.counts(name).values()
        (notes if read == "notes" else lines).append(line)
    first = filled(
        f"memcap redraws {len(lines)} papers. For {', '.join(code[:-1])} and {code[-1]}, we"
        " read the authors' code, and of the text at most the abstract."
    )
    second = filled(
        f"{len(notes)} more studies follow a paper that we know from the notes of"
        " others. We read at most the beginning or the end of its text."
    )
    claims = "its claims that hold here", "by stand-ins", "ours that hold"
    heads = "paper", "question", *claims
    return "\n\n".join([first, table(heads, lines), second, table(heads, notes)])


def resampled() -> str:
    """Count the claims that hold in shuffles, in draws of the seeds and on other seeds."""
    claims = []
    for name in findings.papers():
        if (path := folder(name) / "resampled.csv").is_file():
            others = findings.judged_again(name)
            for claim in pl.read_csv(path).to_dicts():
                again = others.get(claim["claim"], {"verdict": "-"})["verdict"]
                claims.append(claim | {"again": again})
    held = [claim for claim in claims if claim["shuffled"] is not None]
    of_effects = [claim["shuffled"] for claim in held if claim["seen"] is None]
    stable = [claim for claim in claims if claim["bootstrapped"] >= 0.95]
    both = [claim for claim in stable if claim["again"] != "-"]
    same = sum(claim["again"] == claim["verdict"] for claim in both)
    whose = Counter(claim["whose"] for claim in held)
    reached = sum(claim["verdict"] != "not reached" for claim in claims)
    text = (
        f"{len(held)} of {reached} claims hold: {whose['paper']} of papers,"
        f" {whose['stand-in']} of stand-ins and {whose['ours']} of ours. By chance, each of them"
        f" holds in at most {max(of_effects):.1%} of {resample.NUMBER} shuffles, but for those of"
        f" no effect. {len(stable)} of the {len(claims)} verdicts stay the same in at least 95 %"
        f" of {resample.NUMBER} draws of the seeds; {len(both)} of these were judged on other"
        f" seeds, too, where {same} are the same. {len(claims) - reached} more claims are not"
        f" reached. {findings.post_hoc_count()}"
    )
    return filled(text)


def no_effect() -> str:
    """The claims that something has no effect, and what they would have seen."""
    lines = []
    for name in findings.papers():
        if (path := folder(name) / "resampled.csv").is_file():
            for claim in pl.read_csv(path).drop_nulls("seen").to_dicts():
                words = escaped(claim["claim"]), claim["effect"]
                lines.append((f"`{name}`", *words, f"{claim['seen']:.3f}"))
    heads = "paper", "claim", "effect that it denies", "denied with the effect"
    return table(heads, lines)


def asked(study: str) -> list[str]:
    """The paragraphs at the head of a study's YAML."""
    file = folder(study).with_suffix(".yaml")
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = "\n".join(line[1:].strip() for line in head).strip()
    return [" ".join(part.split()) for part in re.split(r"\n\n|\n(?=[A-Z]\w*: )", text)]


def question_of(study: str) -> str:
    """What a study asks, in a sentence: that of its paper, of its YAML, or its page's title."""
    if study in findings.papers():
        return findings.papers()[study]
    if folder(study).with_suffix(".yaml").is_file():
        return re.split(r"(?<=[.?])\s", asked(study)[0])[0]
    page = (folder(study) / "README.md").read_text(encoding="utf-8")
    return page.partition("\n")[0].removeprefix("# ")


def index_of_studies() -> str:
    """The studies and what they ask: first those of `FRONT`, then by the folders of
    sweeps/ the others that belong to no paper."""
    groups: dict[str, list[str]] = {"": FRONT} | {name: [] for name in GROUPS if name}
    for study, place in shards.studies().items():
        pages = place / "README.md", place.with_suffix(".yaml")
        known = {*FRONT, *findings.papers()}
        if study not in known and all(page.is_file() for page in pages):
            groups[Path(choice(study)).parent.as_posix()].append(study)
    parts = []
    for group, studies in groups.items():
        links = (f"[{name}](../sweeps/{choice(name)}/README.md)" for name in studies)
        lines = zip(links, map(question_of, studies), strict=True)
        parts.append(f"{GROUPS[group]}:\n\n{table(('study', 'question'), [*lines])}")
    return "\n\n".join(parts)


def together(study: str, figure: str) -> Sequence[str]:
    """The studies whose rows a published figure of a study shows."""
    return TOGETHER.get((study, figure), (study,))


def of_checkout(study: str) -> str:
    """The rows of a study as a command in a checkout names them."""
    rows = rows_file(study) if study.endswith(AGAIN) else folder(study)
    return rows.relative_to(ROOT).as_posix()


def found(study: str) -> tuple[list[str], str]:
    """The paragraphs at the head of a study's YAML that its page has, and what it costs."""
    words = []
    cost = ""
    for part in asked(study):
        label, _, rest = part.partition(": ")
        if label == "Costs":
            cost = f" It costs {rest}"
        elif label == "Shows":
            words.append(rest[0].upper() + rest[1:])
        elif label != "Expect":
            words.append(part)
    return words, cost


def about(study: str) -> str:
    """Say what a study asks and shows, show its figures, and say how to train it again."""
    paper = study.partition("_")[0]  # of its full study
    pictures = []
    for path in sorted(folder(study).glob("figures/*.png")):
        rows = " ".join(map(of_checkout, together(study, path.stem)))
        command = f"`memcap figure {path.stem} {rows}`"
        if pictures:
            pictures.append(f"{command} draws [another](figures/{path.name}).")
        else:
            alt = figures.summaries()[path.stem]
            pictures = [f"![{alt}](figures/{path.name})", f"{command} draws it."]
    tables = (
        path.relative_to(folder(study))
        for path in shards.tables().values()
        if path.is_relative_to(folder(study))
    )
    links = [f"[study](../{study}.yaml)"]
    for path in tables:
        words = path.with_suffix("").as_posix().replace("_", " ")
        links.append(f"[{words}]({path})")
    if paper in findings.papers():
        links += [
            "[verdicts](verdicts.csv)",
            f"[the smaller study](../{paper}/README.md)",
        ]
        pictures = ["![The paper's figure](figure.png)"]
    paragraphs, cost = found(study)
    again = f"To train it again: `memcap train sweeps={choice(study)}` ({', '.join(links)}).{cost}"
    return "\n\n".join([*map(filled, paragraphs), *pictures, filled(again)])


def of_paper(name: str) -> str:
    """The claims of a paper, what its nets say to them, and how it was done."""
    module = findings.find(name)
    protocol = inspect.cleandoc(module.__doc__).partition("\n\n")[2]
    verdicts = pl.read_csv(folder(name) / "verdicts.csv", infer_schema=False)
    lines = []
    reasons = []
    effects = []
    judged = module.PAPER.claims
    again = findings.judged_again(name)
    rows = enumerate(verdicts.fill_null("").to_dicts(), 1)
    for of, (number, line) in zip(judged, rows, strict=True):
        claim, paper, read, here, why = (
            escaped(line[key]) for key in ("claim", "paper", "read", "here", "why")
        )
        verdict = f"**{line['verdict']}**" + ", post hoc" * of.post_hoc
        others = again.get(line["claim"], {"verdict": ""})["verdict"]
        words = claim, line["whose"], f"{paper} ({read})", here, verdict, others
        lines.append((str(number), *words))
        if why:
            reasons.append(f"* claim {number}: {why}")
        if of.denies:
            effects.append(f"* claim {number}: {of.denies.size}")
    shown = " ".join(inspect.getdoc(module.draw).split()).removeprefix("Draw ")
    study = module.PAPER
    heads = (
        "",
        "claim",
        "whose",
        "paper",
        "here",
        "verdict",
        *["on other seeds"][: len(again)],
    )
    again_commands, again_links = with_other_seeds(name)
    commands = (
        f"memcap reproduce {name} --rows --check   # picture and verdicts, from the rows",
        f"memcap reproduce {name}   # trains the study, too",
        *again_commands,
    )
    links = (
        "[rows](rows.parquet)",
        "[verdicts](verdicts.csv)",
        "[numbers drawn](figure.csv)",
        f"[study](../{name}.yaml)",
    )
    parts = [
        f"{escaped(study.source)}.{READ[study.read]}",
        f"![{shown[0].upper()}{shown[1:]}](figure.png)",
        table(heads, lines if again else [line[:-1] for line in lines]),
        *(["Why not:", "\n".join(reasons)] if reasons else []),
        *(
            [
                "Which effect would have refuted the claim of no effect:",
                "\n".join(effects),
            ]
            * bool(effects)
        ),
        "```text\n" + "\n".join(commands) + "\n```",
        f"Files: {', '.join(links)}{again_links}. Cost: {study.cost}; {study.hardware}.",
        protocol.strip(),
    ]
    return "\n\n".join(parts)


def with_other_seeds(name: str) -> tuple[list[str], str]:
    """Return commands and links of a paper's study with other seeds, if it has them."""
    file = rows_file(f"{name}{AGAIN}")
    if not file.is_file():
        return [], ""
    seed = pl.read_parquet(file)["seed"].min()
    commands = [
        f"memcap train sweeps={choice(name)} seed={seed} out=outputs/{name}{AGAIN}",
        f"memcap reproduce {name} --rows {of_checkout(f'{name}{AGAIN}')}",
    ]
    links = "; on other seeds [rows](other_seeds.parquet), [verdicts](other_seeds.csv)"
    return commands, links


def escaped(words: str) -> str:
    """Words of a paper's file, with what Markdown would take for its own escaped."""
    return re.sub(r"([|*_<])", r"\\\1", words)


def speed() -> str:
    """A training step against Keras's and PyTorch's, by width."""
    widths = (8, 16, 32, 64)
    lines = []
    for stack, versions in (
        ("results", "3.11, jax 0.10.2"),
        ("results/python3.13", "3.13, jax 0.12"),
    ):
        report = json.loads((ROOT / "benchmarks" / stack / "step.json").read_text())
        seconds: dict[str, dict[int, float]] = {}
        for row in report["rows"]:
            if row["workload"] == "last":
                times = statistics.median(row["timing"]["samples"])
                seconds.setdefault(row["contestant"], {})[row["shape"]["units"]] = times
        for loop, ours in (("XLA's loops", "memcap"), ("the LSTM in C", "native")):
            for name, peer in (
                ("Keras, JAX backend", "keras"),
                ("`torch.nn.LSTM`", "torch"),
            ):
                ratios = (f"{seconds[peer][u] / seconds[ours][u]:.1f}" for u in widths)
                lines.append((versions, loop, name, *ratios))
    units = (f"{width} units" for width in widths)
    return table(("Python", "memcap by", "times as fast as", *units), lines)


def studies() -> str:
    """Whole studies beside Keras and PyTorch, on Python 3.11."""
    place = ROOT / "benchmarks" / "results"
    walls: dict[str, list[float]] = {}
    for sample in json.loads((place / "study.json").read_text())["samples"]:
        if sample["state"] == "cold":
            walls.setdefault(sample["contestant"], []).append(sample["wall"])
    cold = {
        name: f"{statistics.median(seconds):.1f} s" for name, seconds in walls.items()
    }
    page = (place / "frontier.md").read_text()
    minutes = re.findall(r"^\| [^|]+ \| ([\d.]+) \| [\d.]+ \| \d+% \|$", page, re.M)
    keras, _, torch, xla, native = map(float, minutes)
    return filled(
        f"At equal work, the grid of a small frontier takes {keras / xla:.1f} times less time"
        f" with XLA's loops than with Keras, and {torch / xla:.1f} times less than with PyTorch."
        f" With the loops in C it takes {keras / native:.0f} and {torch / native:.1f} times less"
        " (`python -m benchmarks frontier`; the times of Keras and PyTorch are extrapolated from"
        f" a sample). A short study with an empty cache takes {cold['memcap-native']} in C,"
        f" {cold['memcap']} with XLA's loops, {cold['torch']} with PyTorch and {cold['keras']}"
        " with Keras (`python -m benchmarks study`)."
    )


def designs() -> str:
    """Tabulate the cost of each design, and how wide and how right its intervals are."""
    report = json.loads((ROOT / "docs" / "designs.json").read_text())
    of = "kind", "line", "design"
    means = pl.DataFrame(report["results"]).group_by(*of, maintain_order=True)
    steps = pl.col("steps") / pl.col("steps").filter(design="bisect, 8 seeds").first()
    shown = means.agg(pl.col("steps", "width", "held").mean()).with_columns(
        steps.over("kind", "line"), pl.col("width").exp(), pl.col("held") * 100
    )
    lines = []
    for (design,), own in shown.group_by("design", maintain_order=True):
        cells = (
            f"{own[name].min():{form}} to {own[name].max():{form}}"
            for name, form in (("steps", ".2f"), ("width", ".2f"), ("held", ".0f"))
        )
        lines.append((design, *cells))
    plan = report["plan"]
    lots = shown.select("kind", "line").unique().height // 2
    heads = "design", "steps", "ratio of the ends", "holds the truth, %"
    count = (
        f"Each range is over {lots} lines of the atlas, each of them simulated"
        f" {plan['simulated']} times and replayed {plan['replayed']} times."
    )
    return f"{table(heads, lines)}\n\n{filled(count)}"


def tables_of_rows() -> str:
    """Each table of published rows that is no paper's: how many, and how many core hours."""
    lines = []
    for name, path in shards.tables().items():
        place = path.relative_to(sweeps())
        if place.parts[0] != "papers":
            rows = pl.read_parquet(path)
            hours = f"{rows['run_seconds'].sum() / 3600:.2f}"
            lines.append((f"[{name}]({place.as_posix()})", f"{rows.height:,}", hours))
    return table(("table", "rows", "core hours"), lines)


def columns() -> str:
    """Each column of the rows that is no knob, as polars names its type."""
    lines = (
        (f"`{name}`", str(column.dtype), column.doc)
        for name, column in COLUMNS.items()
        if name not in {*MODEL, *RECIPE, *EVALUATION}
    )
    return table(("column", "type", "meaning"), lines)


def counted(line: str) -> str:
    """Return a line of Python that calls `counts`, and the table that it gives."""
    found = eval(line, {"counts": counts})
    lines = found.cast(pl.String).fill_null("").rows()
    return f"```python\n{line}\n```\n\n{table(found.columns, lines)}"


@cache
def trained_rows() -> pl.DataFrame:
    """All published rows, of studies and papers, each training once: some stand in
    several tables."""
    files = shards.tables().values()
    return pl.concat(map(store.read, files)).unique(["key", "finished"])


def recipes_in_rows() -> str:
    """Tabulate what published rows have of each recipe: how many nets, and which rates
    and budgets."""
    lines = []
    recipes = trained_rows().sort("recipe").group_by("recipe", maintain_order=True)
    for (recipe,), nets in recipes:
        ends = []
        for name in ("lr", "budget"):
            least = nets[name].min()
            most = nets[name].max()
            ends.append(f"{least:g}" + f" to {most:g}" * (least < most))
        steps = nets["steps"].sum() / 1e6
        hours = nets["run_seconds"].sum() / 3600
        counts = f"{nets.height:,}", nets["seed"].n_unique()
        lines.append((f"`{recipe}`", *counts, *ends, f"{steps:.1f}", f"{hours:.1f}"))
    return table(
        ("recipe", "nets", "seeds", "rates", "budgets", "million steps", "core hours"),
        lines,
    )


def bibtex() -> str:
    """Say in BibTeX what CITATION.cff says."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(f"{{{author['name']}}}" for author in cited["authors"])
    fields = {
        "title": f"{{{cited['title']}}}",
        "author": authors,
        "year": cited["date-released"].year,
        "version": cited["version"],
    }
    lines = (f"  {name} = {{{value}}}," for name, value in fields.items())
    return "\n".join(["```bibtex", "@software{memcap,", *lines, "}", "```"])


def colab() -> str:
    """Say how to run the notebooks in Colab, which opens those of a repository on GitHub."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    repository = yaml.safe_load(citation).get("repository-code")
    if repository is None:
        return (
            "In [Colab](https://colab.research.google.com), choose File and Upload notebook;"
            " the first cell installs memcap."
        )
    place = repository.replace("//", "//colab.research.google.com/").replace(
        "/github.com/", "/github/"
    )
    links = [
        f"[{path.name}]({place}/blob/HEAD/examples/{path.name})"
        for path in sorted(ROOT.glob("examples/*.ipynb"))
    ]
    return f"In Colab: {', '.join(links)}. The first cell installs memcap."


def proofs() -> str:
    """Count the nets of each task that are proved right: where nothing comes before what
    counts, and where filler may."""
    rows = pl.read_csv(folder("nets") / "proofs.csv")
    lines = []
    for (task,), nets in rows.group_by("task", maintain_order=True):
        by_net = nets.group_by("key", maintain_order=True)
        # a net that is wrong with nothing before has no second row
        parts = by_net.first(), by_net.last()
        proved = [part.filter(verdict="proved").height for part in parts]
        wrong = parts[1].filter(verdict="counterexample").height
        if any(proved):
            lines.append((task, len(parts[0]), *proved, wrong))
    heads = "task", "nets", "proved", "proved wherever", "wrong somewhere"
    nets = rows["key"].n_unique()
    others = rows["task"].n_unique() - len(lines)
    text = (
        f"Of {nets} published nets, {sum(line[2] for line in lines)} are proved right where nothing"
        f" comes before what counts, and {sum(line[3] for line in lines)} wherever it begins; no"
        f" net of {others} further tasks is."
    )
    return f"{filled(text)}\n\n{table(heads, lines)}"


def one_unit_proved() -> str:
    """Say on how many sequences the published net of one unit is right, by its proof
    wherever the bit comes."""
    rows = pl.read_csv(folder("nets") / "proofs.csv")
    (proof,) = rows.filter(
        pl.col("net").str.ends_with(":latch-L50"), units=1, before="distractors"
    ).to_dicts()
    assert proof["verdict"] == "proved"
    return filled(
        f"**A trained net of one unit is right on all {float(proof['sequences']):.2g}"
        f" sequences** of the first row, of up to {proof['steps']} steps. That is proved from its"
        f" weights, not sampled: `memcap prove {proof['net']}`."
    ).replace("e+", "e")


def golf(weights: str) -> str:
    """List the entries of memory golf, by task, the fewest bytes of state first."""
    heads = "task", "lag", "bytes", "numbers", "units", "parameters"
    board = pl.read_csv(ROOT / "examples" / "golf" / "board.csv").filter(
        weights=weights
    )
    lines = []
    for entry in board.sort("task", "bytes").iter_rows(named=True):
        link = f"[{entry['entry']}](../examples/golf/{entry['entry']}/entry.py)"
        counts = [f"{entry[each]} of {entry['nets']}" for each in ("right", "proved")]
        lines.append((link, *(entry[each] for each in heads), *counts))
    return table(("entry", *heads, "right", "proved"), lines)


def core_hours() -> str:
    """Say what all published rows took."""
    rows = trained_rows()
    programs = rows.group_by("population").agg(pl.col("compile_seconds").max())
    return filled(
        f"memcap publishes the rows of {rows.height:,} trainings, of"
        f" {rows['steps'].sum() / 1e6:.0f} million steps. By these rows, training and evaluation"
        f" took {rows['run_seconds'].sum() / 3600:.1f} hours of one core (`run_seconds`), and the"
        f" compilation of {programs.height:,} programs took"
        f" {programs['compile_seconds'].sum() / 3600:.1f} hours."
    )


TABLES: dict[str, Callable[[], str]] = {
    "solved": solved,
    "steady": steady,
    "up to": up_to_rule,
    "anywhere": anywhere_rule,
    "papers": redrawn,
    "papers counted": lambda: filled(findings.strict_count()),
    "studies": index_of_studies,
    "claims resampled": resampled,
    "claims of no effect": no_effect,
    "speed": speed,
    "speed of studies": studies,
    "designs": designs,
    "tables of rows": tables_of_rows,
    "columns": columns,
    "bibtex": bibtex,
    "notebooks": colab,
    "recipes in rows": recipes_in_rows,
    "core hours": core_hours,
    "proofs": proofs,
    "golf trained": lambda: golf("trained"),
    "golf by hand": lambda: golf("by hand"),
    "one unit proved": one_unit_proved,
}


@cache
def blocks() -> dict[str, Callable[[], str]]:
    """The functions that make blocks of pages, of this file and of all studies."""
    makers = dict(TABLES)
    for study in findings.names():
        makers |= getattr(findings.load(study), "TABLES", {})
    return makers


def printed(command: str) -> str:
    """Return the output of a command of memcap, as a block of text."""
    out = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as empty,  # no rows of one's own
        contextlib.chdir(empty),
        contextlib.redirect_stdout(out),
    ):
        cli.main(shlex.split(command))
    return f"```text\n{out.getvalue().rstrip()}\n```"


OF_NAMES = {"memcap": printed, "study": about, "paper": of_paper}


@cache
def made(name: str) -> str:
    """The text of a block."""
    kind, _, rest = name.partition(" ")
    if name.startswith("counts("):
        return counted(name)
    if kind in OF_NAMES:
        return OF_NAMES[kind](rest)
    return blocks()[name]()


def renewed(page: str) -> str:
    """A page with its blocks made again.

    Raises:
        KeyError: a block has a name that is not known here.
    """

    return BLOCK.sub(
        lambda match: f"{match[1]}\n{made(match['name'])}\n\n{match[4]}", page
    )


def pages() -> list[Path]:
    """The pages that may have blocks."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted(sweeps().rglob("README.md")),
    ]


def main(check: bool) -> int:
    """Write the pages, or count those that would change, and name them."""
    stale = 0
    for path in pages():
        page = path.read_text(encoding="utf-8")
        new = renewed(page)
        if new != page:
            stale += 1
            print(
                f"{path.relative_to(ROOT)}: not as its rows are; make tables writes it"
            )
            if not check:
                path.write_text(new, encoding="utf-8")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(min(1, main("--check" in sys.argv)))
