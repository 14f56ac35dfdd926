"""What is found by name in a package's files."""

import sys
from types import ModuleType

import pytest

from memcap.runtime import plugins


class Base:
    name = ""


@pytest.fixture
def package(monkeypatch):
    """A package of two modules that have a class each, named as the test says."""

    def make(*names):
        modules = []
        for number, name in enumerate(names):
            module = ModuleType(f"parts.part_{number}")
            attributes = {"name": name, "__module__": module.__name__}
            module.Part = type("Part", (Base,), attributes)
            modules.append(module)
        modules[1].Imported = modules[0].Part  # found where it is defined alone
        monkeypatch.setitem(sys.modules, "parts", ModuleType("parts"))
        monkeypatch.setattr(plugins, "modules", lambda name: modules)

    return make


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("second", "first"), ["first", "second"]),
        (("only", ""), ["only"]),  # one without a name of its own is a base
    ],
)
def test_classes_are_found_by_their_names(package, names, found):
    package(*names)
    assert list(plugins.classes("parts", Base)) == found


def test_two_of_one_name_are_refused(package):
    package("same", "same")
    with pytest.raises(ValueError, match="parts: two have one name: same, same"):
        plugins.classes("parts", Base)
