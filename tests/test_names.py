"""Names and sentences: nouns for things, verbs for functions, a class per name,
functions of moderate size.

Docstrings of functions begin with a verb, which ruff's D401 holds; here no docstring is a fragment.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from tokenize import NAME, NUMBER, OP, generate_tokens

ROOT = Path(__file__).parents[1] / "memcap"
PARTICIPLES = {
    "asked",
    "drawn",
    "found",
    "given",
    "kept",
    "said",
    "shown",
    "taken",
    "told",
}
ADJECTIVES = {
    "SURE",
    "DENSE",
    "CLOSE",
    "BELOW",
    "ABOVE",
    "ALIKE",
    "LITTLE",
    "APART",
    "FAR",
    "QUICK",
    "ODD",
}
# A sentence that begins so says neither what a thing is nor what a function does.
FRAGMENTS = {"What", "Whether", "Of", "Which", "Where", "As"}
MOST_FRAGMENTS = 0.05  # of all docstrings
# how many functions may have more
MOST_PARAMETERS = 7
MOST_WIDE = 10
MOST_TOKENS = 730  # of a function: names, operators and numbers


@cache
def trees() -> dict[str, ast.Module]:
    """Parse the modules of the package, by file."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
    }


def tokens(function: ast.FunctionDef) -> int:
    """Count the names, operators and numbers of a function, however its lines break."""
    lines = StringIO(ast.unparse(function)).readline
    return sum(token.type in (NAME, NUMBER, OP) for token in generate_tokens(lines))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Find functions and methods, wherever they stand."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def public_names(tree: ast.Module) -> set[str]:
    """Return a module's functions and classes, and their methods and fields, without underscore."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    names = set()
    for node in [*tree.body, *(inner for each in classes for inner in each.body)]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def constants(tree: ast.Module) -> set[str]:
    """Return the names that a module assigns at its top."""
    targets = [
        each
        for node in tree.body
        if isinstance(node, ast.Assign)
        for each in node.targets
    ]
    names = [
        each
        for target in targets
        for each in ast.walk(target)
        if isinstance(each, ast.Name)
    ]
    return {each.id for each in names}


def docstrings(tree: ast.Module) -> list[str]:
    """Return those of the module, its classes and functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = [
        ast.get_docstring(node)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    ]
    return [text for text in found if text]


def is_fragment(docstring: str) -> bool:
    """Tell whether it opens with one of FRAGMENTS."""
    return docstring.split()[0].rstrip(".,:;") in FRAGMENTS


def parameters(function: ast.FunctionDef) -> int:
    """Count them, but for `self` and `cls`."""
    given = function.args
    named = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    return (
        len(set(named) - {"self", "cls"})
        + (given.vararg is not None)
        + (given.kwarg is not None)
    )


def test_no_public_name_is_a_participle_and_no_constant_an_adjective():
    names = {file: public_names(tree) & PARTICIPLES for file, tree in trees().items()}
    names |= {
        f"{file}, constants": constants(tree) & ADJECTIVES
        for file, tree in trees().items()
    }
    assert {file: each for file, each in names.items() if each} == {}


def test_a_class_has_its_name_alone():
    count = Counter(
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, classes in count.items() if classes > 1} == set()


def test_docstrings_are_sentences():
    texts = [text for tree in trees().values() for text in docstrings(tree)]
    assert sum(map(is_fragment, texts)) < MOST_FRAGMENTS * len(texts)


def test_functions_take_few_parameters_and_are_no_longer_than_can_be_followed():
    found = [(file, each) for file, tree in trees().items() for each in functions(tree)]
    wide = {
        f"{file}:{each.name}"
        for file, each in found
        if parameters(each) > MOST_PARAMETERS
    }
    assert len(wide) <= MOST_WIDE, wide
    sizes = {f"{file}:{each.name}": tokens(each) for file, each in found}
    assert {name: size for name, size in sizes.items() if size > MOST_TOKENS} == {}


def test_each_is_seen():
    tree = ast.parse(
        'def taken(a, b, *c, d=1): "What is."\n'
        'class Queue:\n    kept: int\n    def told(self): "Tell."\n'
        "FAR = 1"
    )
    assert public_names(tree) & PARTICIPLES == {"taken", "kept", "told"}
    assert constants(tree) & ADJECTIVES == {"FAR"}
    assert sorted(map(is_fragment, docstrings(tree))) == [False, True]
    assert [parameters(each) for each in functions(tree)] == [4, 0]
