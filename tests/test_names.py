"""A class has its name alone, and functions can be followed."""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "memcap"
MOST_LINES = 60  # of a function, as `ast.unparse` breaks them
MOST_TOKENS = 730  # of a function: names, operators and numbers
COUNTED = (tokenize.NAME, tokenize.NUMBER, tokenize.OP)


def definitions(kind: type) -> Iterator[tuple[str, ast.AST]]:
    """Find the classes or functions of the package, with the names of their files."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield f"{path.name}:{node.name}", node


def test_a_class_has_its_name_alone():
    count = Counter(node.name for _, node in definitions(ast.ClassDef))
    assert len(count) > 50
    assert max(count.values()) == 1, count.most_common(3)


def test_functions_are_no_longer_than_can_be_followed():
    long = {}
    for name, function in definitions(ast.FunctionDef):
        source = ast.unparse(function)
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        size = sum(token.type in COUNTED for token in tokens)
        if size > MOST_TOKENS or source.count("\n") >= MOST_LINES:
            long[name] = size
    assert long == {}
