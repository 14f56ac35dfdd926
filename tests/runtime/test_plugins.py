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

    def make(one, other):
        modules = []
        for place, name in enumerate((one, other)):
            module = ModuleType(f"parts.part_{place}")
            module.Part = type(
                "Part", (Base,), {"name": name, "__module__": module.__name__}
            )
            modules.append(module)
        modules[1].Imported = modules[0].Part  # found where it is defined alone
        monkeypatch.setitem(sys.modules, "parts", ModuleType("parts"))
        monkeypatch.setattr(plugins, "modules", lambda name: modules)

    return make


def test_classes_are_found_by_their_names(package):
    package("second", "first")
    assert list(plugins.classes("parts", Base)) == ["first", "second"]


def test_a_class_without_a_name_of_its_own_is_a_base(package):
    package("only", "")
    assert list(plugins.classes("parts", Base)) == ["only"]


def test_two_of_one_name_are_refused(package):
    package("same", "same")
    with pytest.raises(ValueError, match="parts: two have one name: same, same"):
        plugins.classes("parts", Base)
