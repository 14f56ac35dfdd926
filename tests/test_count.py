"""docs/count.py counts what it says."""

import pytest
from own_programs import program

LAYERS = "Modules lie in layers:\n\n```\nlow\nwide mid\nhigh\n```\n"
FILES = {
    "memcap/__init__.py": '"""Two words."""\n',
    "memcap/low.py": "import math\nfrom memcap import mid\n",  # up
    "memcap/mid/__init__.py": "",
    "memcap/mid/one.py": "from memcap.mid.two import x\nimport memcap.low as low\n",
    "memcap/mid/two.py": (
        "if TYPE_CHECKING:\n    from memcap.mid import one\n    from memcap import high\n"
    ),
    "memcap/wide.py": "def late():\n    from memcap.low import y\n",
    "memcap/high.py": '# comment\nz = f(  # two\n    1, "a b"\n)\n',
    "memcap/commands/a.py": "\ndef run(arguments):\n    pass\n",
    "memcap/commands/shared.py": "",
    "CONTRIBUTING.md": f"---\nfour: words of header\n---\n# Two\n{LAYERS}",
    "CHANGELOG.md": "one two",
    "sweeps/one.md": "one two\n| three |\n````\nfive\n```\nsix\n````\nseven <!-- eight -->",
    "docs/page.md": "one",
    "tests/page.md": "one",
}


@pytest.fixture
def lines(tmp_path):
    """What is printed of a made folder."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in ("benchmarks", "sweeps/a", "sweeps/.hidden"):
        (tmp_path / folder).mkdir()
    return [
        " ".join(line.split()) for line in program("docs/count.py").report(tmp_path)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "high 7 2.3",  # z = f ( 1 , )
        "low 6 3.0",
        "tests 0 0.0",
        "commands 1, entries of sweeps/ 2",
        "rooms 6, arrows 3: up 1; circles 1",
        "low mid",
        "mid.one mid.two",
        "studies 1 3 3",
        "docs 1 1 0",
        "the rest 1 6 0",
        "all 3 10 3",
        "words of docstrings of memcap/ 2",
    ],
)
def test_a_made_folder_is_counted(lines, line):
    assert line in lines, "\n".join(lines)
