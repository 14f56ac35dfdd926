"""Names are nouns for things and verbs for functions; a participle says neither what a thing is nor what is
done."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "memcap"
PARTICIPLES = {"asked", "drawn", "found", "given", "kept", "said", "shown", "taken", "told"}
# Files that have some left: this set only shrinks.
LEFT = {
    "studies/checkpoints.py": {"kept"},
}


def public_names(source: str) -> set[str]:
    """Functions and classes of a module, and the methods and fields of its classes, without underscore."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    names = set()
    for node in [*tree.body, *(inner for each in classes for inner in each.body)]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def participles() -> dict[str, set[str]]:
    """Public names that are participles, by file."""
    names = {
        path.relative_to(ROOT).as_posix(): public_names(path.read_text(encoding="utf-8")) & PARTICIPLES
        for path in sorted(ROOT.rglob("*.py"))
    }
    return {path: each for path, each in names.items() if each}


def test_no_public_name_is_a_participle():
    new = {path: names - LEFT.get(path, set()) for path, names in participles().items()}
    assert {path: names for path, names in new.items() if names} == {}


def test_a_participle_is_seen():
    source = "def taken(): ...\nclass Queue:\n    kept: int\n    def told(self): ..."
    assert public_names(source) & PARTICIPLES == {"taken", "kept", "told"}
