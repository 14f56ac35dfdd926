"""The script of an answer: its width, its recipe, and what is refused."""

from dataclasses import replace

import pytest
from breadth import leave
from command import memcap

from memcap import store
from memcap.answers.answer import answer
from memcap.answers.question import Question
from memcap.answers.sources import from_rows
from memcap.answers.words import code, sentences
from memcap.config.knobs import UserError
from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.scripts import script
from memcap.store.published import ATLAS, rows_file
from memcap.tasks import task_class, task_classes

LATCH = task_class("latch")()
DELAY = task_class("delay_line")()


@pytest.fixture(scope="module")
def rows():
    return store.read(rows_file(ATLAS))


def test_it_has_the_advised_width_and_the_recipe_of_the_rows(rows):
    result = from_rows(rows, Question(LATCH, 5))
    text = code(result, "torch")
    recipe = result.point.recipe
    assert f"UNITS = {result.units}\n" in text
    assert (
        f"BATCH, BUDGET, RATE, CLIP = {recipe.batch}, {recipe.budget}, {recipe.lr:g}, 1\n"
        in text
    )
    assert f"`{recipe.init}`" in text
    assert " ".join(sentences(result)[0].split()) in " ".join(text.split())


def test_an_unmeasured_lag_has_the_recipe_of_the_next_longer_one(rows):
    """Copies are measured at lags 25 and 50; what trains at 50 trains at 30."""
    sixteen = replace(task_class("copy")(), items=16)
    result, near, shorter = (
        from_rows(rows, Question(sixteen, lag)) for lag in (30, 50, 25)
    )
    assert result.point is None
    recipe = near.point.recipe
    assert recipe != shorter.point.recipe
    assert f"{recipe.batch}, {recipe.budget}, {recipe.lr:g}" in code(result, "torch")
    assert f"`{recipe.init}`" in code(result, "torch")


def test_a_gru_has_its_own_layer_and_other_cells_have_none(rows):
    text = code(from_rows(rows, Question(LATCH, 12, Model("GRUCell", 1))), "torch")
    assert text.startswith('"""Train a GRU of 1 unit in PyTorch')
    assert "self.gru = nn.GRU(FEATURES, UNITS, len(ENTERING), batch_first=True)" in text
    with pytest.raises(
        UserError, match=r"code=torch: scripts are for the cells .*, not for minGRU"
    ):
        code(from_rows(rows, Question(LATCH, 12, Model("minGRU", 1))), "torch")


def test_another_recipe_of_the_rows_is_another_script():
    values = {
        "init": "forget_bias",
        "forget_bias": 2.5,
        "lr": 0.004,
        "schedule": "constant",
        "warmup": 0,
    }
    values |= {
        "batch": 16,
        "clip": 3.0,
        "budget": 700,
        "optimizer": "sgd",
        "clip_by": "element",
    }
    text = script(
        Member(LATCH, 5, model=Model(units=2), recipe=Recipe("mine", **values)), "torch"
    )
    assert "BATCH, BUDGET, RATE, CLIP = 16, 700, 0.004, 3\n" in text
    assert "np.repeat([0, 2.5, 0, 0], UNITS)" in text
    assert "SGD(trained, momentum=0.9)" in text
    assert "clip_grad_value_(net.parameters(), CLIP)" in text


def test_without_a_width_there_is_none():
    with pytest.raises(
        UserError, match="no width is known to be enough for delay_line at lag 7"
    ):
        code(answer(Question(DELAY, 7), []), "keras")


def test_the_command_prints_it_and_nothing_else(tmp_path):
    done = memcap(
        tmp_path, "answer", "--task", "latch", "--lag", "5", "--code", "keras"
    )
    compile(done.out, "script", "exec")
    assert done.out.startswith(
        '"""Train an LSTM of 1 unit in Keras 3 on latch at lag 5'
    )


@pytest.mark.parametrize(
    "name", leave(task_classes(), but=("latch", "mqar", "parity").__contains__)
)
def test_every_task_has_one(name):
    task = task_class(name)()
    compile(
        script(Member(task, max(8, task.smallest_lag), model=Model(units=4)), "keras"),
        name,
        "exec",
    )
