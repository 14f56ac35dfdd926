"""The script of an answer: its width, its recipe, its file, and what is refused."""

from dataclasses import replace

import pytest
from command import memcap

from memcap import store
from memcap.answers.answer import Question, answer
from memcap.answers.sources import from_rows
from memcap.answers.words import code, sentences
from memcap.knobs import UserError
from memcap.store.published import ATLAS, rows_file
from memcap.tasks import task_class

LATCH = task_class("latch")()
COPY = replace(task_class("copy")(), items=16)
WORDS = ("answer", "--task", "latch", "--lag", "5", "--code", "keras")


@pytest.fixture(scope="module")
def rows():
    return store.read(rows_file(ATLAS))


def test_it_has_the_advised_width_and_the_recipe_of_the_rows(rows):
    result = from_rows(rows, Question(LATCH, 5))
    text = code(result, "torch")
    recipe = result.point.recipe
    assert f"UNITS = {result.units}\n" in text
    assert f"BATCH = {recipe.batch}\nBUDGET = {recipe.budget} " in text
    assert f"`{recipe.init}`" in text
    assert " ".join(sentences(result)[0].split()) in " ".join(text.split())


def test_an_unmeasured_lag_has_the_recipe_of_the_next_longer_one(rows):
    """Copies are measured at lags 25 and 50; what trains at 50 trains at 30."""
    result, longer, shorter = (
        from_rows(rows, Question(COPY, lag)) for lag in (30, 50, 25)
    )
    assert result.point is None
    assert longer.point.recipe != shorter.point.recipe
    recipe = longer.point.recipe
    assert f"RATE = {recipe.lr:g}\nCLIP = {recipe.clip:g}\n" in code(result, "torch")


def test_without_a_width_there_is_none():
    question = Question(task_class("delay_line")(), 7)
    with pytest.raises(UserError, match="no width is known to be enough for delay_lin"):
        code(answer(question, []), "keras")


def test_the_command_prints_it_and_names_the_one_that_writes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["memcap", *WORDS])
    done = memcap(tmp_path, *WORDS)
    assert done.out.startswith(
        '"""Train an LSTM of 1 unit in Keras 3 on latch at lag 5'
    )
    assert f"\n    memcap {' '.join(WORDS)} -o net.py\n" in done.out
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["memcap", *WORDS, "-o", "net.py"])
    words = memcap(tmp_path, *WORDS, "-o", "net.py").out
    assert words == "net.py, and its sequences in net.npz (0.1 MB)\n"
    assert (tmp_path / "net.py").read_text() == done.out


def test_python_writes_it_too(tmp_path, rows):
    import memcap as library

    file = tmp_path / "net.py"
    text = library.answer("latch", lag=5, rows=rows).code("flax", file)
    assert file.read_text() == text
    assert f"memcap.answer(...).code('flax', '{file}')" in text
    assert file.with_suffix(".npz").exists()
