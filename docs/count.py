"""Print the size of the project: tokens, entries, rooms with the arrows between them, words.

python docs/count.py            as `make count` does

* A token is a name, an operator or a number of `tokenize`: comments and strings count
  nothing. A code line is one on which such a token begins. Python 3.12 and later see
  tokens within f-strings, and so count more.
* A room is a folder of memcap/ or a file beside the folders. An arrow leads from one room
  to another from which it imports, in a function, too, but not for type checkers. It
  points up unless the other one stands above it in CONTRIBUTING.md, where the base is
  at the top. A circle is a group of files of which each is reached from each, also by
  imports for type checkers; memcap/__init__.py, which imports at first use, is in none.
* Words of pages (*.md, but those of tests and CHANGELOG.md) are prose or, in lines that
  begin with |, those of tables, with their bars: a word is what spaces separate.
  Headers of YAML, comments and fences of code count nowhere.
"""

import ast
import re
import tokenize
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

CODE = ("memcap", "tests", "sweeps", "benchmarks", "docs")
TOKENS = (tokenize.NAME, tokenize.OP, tokenize.NUMBER)
LAYERS = re.compile(r"lie in layers.*?^```\n(.*?)^```", re.DOTALL | re.MULTILINE)
WORDLESS = re.compile(
    r"\A---\n.*?^---$|^ *(`{3,}).*?^ *\1 *$|<!--.*?-->", re.DOTALL | re.MULTILINE
)


def tokens(files: Sequence[Path]) -> tuple[int, int]:
    """Return the number of tokens of files of Python, and of lines where one begins."""
    count = lines = 0
    for path in files:
        with tokenize.open(path) as file:
            every = tokenize.generate_tokens(file.readline)
            starts = [each.start[0] for each in every if each.type in TOKENS]
        count += len(starts)
        lines += len({*starts})
    return count, lines


def rooms(root: Path) -> dict[str, list[Path]]:
    """Return the files of each room by its name."""
    package = root / "memcap"
    files: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).parts[0].removesuffix(".py")
        files.setdefault(name, []).append(path)
    return files


def imports(path: Path, typing: bool) -> Iterator[str]:
    """Yield what a file imports of memcap, as "tasks.base.Task"; `typing` says whether
    imports for type checkers count."""
    for part in ast.parse(path.read_bytes()).body:
        if typing or not ast.unparse(part).startswith("if TYPE_CHECKING:"):
            for node in ast.walk(part):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    stem = f"{getattr(node, 'module', '')}.".lstrip(".")
                    for alias in node.names:
                        package, _, module = f"{stem}{alias.name}".partition(".")
                        if package == "memcap":
                            yield module


def pairs(root: Path, typing: bool = False) -> set[tuple[str, str]]:
    """Return which file of memcap/ imports which, as "tasks.base"; "" is the package."""
    every = set()
    files = {name_of(path, root): path for path in (root / "memcap").rglob("*.py")}
    for name, path in files.items():
        for module in imports(path, typing):
            while module not in files:
                module = module.rpartition(".")[0]
            every.add((name, module))
    return every


def name_of(path: Path, root: Path) -> str:
    """Return the name of a module within memcap: "" is the package itself."""
    parts = path.relative_to(root / "memcap").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def arrows(root: Path) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the arrows between rooms, and those of them that point up."""
    (layers,) = LAYERS.findall((root / "CONTRIBUTING.md").read_text("utf-8"))
    lines = layers.splitlines()
    height = {name: place for place, line in enumerate(lines) for name in line.split()}
    every = set()
    up = set()
    for pair in pairs(root):
        a, b = (module.partition(".")[0] for module in pair)
        if a != b:
            every.add((a, b))
            own, other = (
                height.get(m, height.get(m.partition(".")[0], -1)) for m in pair
            )
            if own <= other:
                up.add((a, b))
    return every, up


def circles(every: set[tuple[str, str]]) -> set[frozenset[str]]:
    """Return the groups of files of which each is reached from each."""
    beside: dict[str, set[str]] = {}
    for a, b in every:
        if a and b:
            beside.setdefault(a, set()).add(b)
    reached = {a: {*of} for a, of in beside.items()}
    for middle in beside:
        for of in reached.values():
            if middle in of:
                of |= reached[middle]
    return {
        frozenset(b for b in of if a in reached.get(b, ()))
        for a, of in reached.items()
        if a in of
    }


def words(pages: Sequence[Path]) -> tuple[int, int]:
    """Return the number of words of prose, and in tables."""
    prose = cells = 0
    for page in pages:
        for line in WORDLESS.sub("", page.read_text("utf-8")).splitlines():
            number = len(line.split())
            if line.startswith("|"):
                cells += number
            else:
                prose += number
    return prose, cells


def docstrings(files: Sequence[Path]) -> int:
    """Return the number of words of docstrings."""
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    return sum(
        len((ast.get_docstring(node) or "").split())
        for path in files
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, kinds)
    )


def report(root: Path) -> Iterator[str]:
    """Yield what is printed, line by line."""
    python = {folder: sorted((root / folder).rglob("*.py")) for folder in CODE}
    within = {f"  {name}": files for name, files in rooms(root).items()}
    yield "folder, tokens, tokens per code line"
    for name, files in (python | within).items():
        count, lines = tokens(files)
        yield f"{name:<16}{count:>8,}{count / max(1, lines):>6.1f}"
    commands = [p for p in python["memcap"] if p.parent.name == "commands"]
    number = sum("\ndef run(" in path.read_text("utf-8") for path in commands)
    entries = sum(
        not p.name.startswith((".", "_")) for p in (root / "sweeps").iterdir()
    )
    every, up = arrows(root)
    closed = circles(pairs(root, typing=True))
    yield f"commands {number}, entries of sweeps/ {entries}"
    yield f"rooms {len(within)}, arrows {len(every)}: up {len(up)}; circles {len(closed)}"
    for group in (*up, *closed):
        yield f"  {' '.join(sorted(group))}"
    groups: dict[str, list[Path]] = {"studies": [], "docs": [], "the rest": []}
    for path in sorted(root.rglob("*.md")):
        top = path.relative_to(root).parts[0]
        if top != "tests" and path.name != "CHANGELOG.md" and not top.startswith("."):
            name = {"sweeps": "studies", "docs": "docs"}.get(top, "the rest")
            groups[name].append(path)
    yield "pages, words of prose, words in tables"
    for name, pages in (groups | {"all": [*chain(*groups.values())]}).items():
        prose, cells = words(pages)
        yield f"{name:<10}{len(pages):>5}{prose:>8,}{cells:>8,}"
    yield f"words of docstrings of memcap/ {docstrings(python['memcap']):,}"


if __name__ == "__main__":
    print(*report(Path(__file__).parents[1]), sep="\n")
