"""Writes a member's script from the template of a framework.

The parts that scripts of all frameworks share are written here, in NumPy.
"""

import math
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import jax
import numpy as np

from memcap.config.knobs import UserError, set_words, unknown_knob
from memcap.config.member import Member
from memcap.config.recipes import EPSILON, MOMENTUM, RMS_DECAY, ResolvedRecipe
from memcap.models.model import Model
from memcap.scripts.memcap_source import memcap_source
from memcap.scripts.numpy_source import NoTwinError, draws_unseen, numpy_source
from memcap.tasks import Batch, FileTask
from memcap.terminal.words import plural
from memcap.training.curriculum import AFTER_A_RISE, DECAY, PER_THRESHOLD

TEMPLATES = {
    path.stem: path for path in sorted(Path(__file__).parent.glob("*.template"))
}
FRAMEWORKS = tuple(TEMPLATES)
# By `recipe.optimizer`, in Keras, PyTorch and optax. Keras adds RMSprop's epsilon under
# the root. Muon, SOAP and GGT are in the templates: the frameworks' own Muon would take
# the matrices of all gates for one.
OPTIMIZERS = {
    "adam": ("Adam(epsilon=1e-8, ", "Adam(trained)", "scale_by_adam()"),
    "sgd": (
        f"SGD(momentum={MOMENTUM}, ",
        f"SGD(trained, momentum={MOMENTUM})",
        f"trace({MOMENTUM})",
    ),
    "rmsprop": (
        f"RMSprop(rho={RMS_DECAY}, epsilon={EPSILON**2}, ",
        f"RMSprop(trained, alpha={RMS_DECAY}, eps={EPSILON})",
        f"scale_by_rms({RMS_DECAY}, {EPSILON}, eps_in_sqrt=False)",
    ),
}
IN_TEMPLATES = ("muon", "soap", "ggt")
# By `recipe.clip_by`, likewise.
CLIPPINGS = {
    "norm": ("global_clipnorm", "clip_grad_norm_", "clip_by_global_norm"),
    "element": ("clipvalue", "clip_grad_value_", "clip"),
}


@dataclass(frozen=True)
class Layer:
    """A cell in the frameworks: its words, the layer's class in Keras, PyTorch and
    Flax, the letters of its gates by role, in PyTorch's and Flax's order, and the place
    of its bias in Flax."""

    words: str
    keras: str
    torch: str
    flax: str
    letters: dict[str, str]
    flax_bias: str = "dense_i"


# By `model.cell`: the cells whose equations all frameworks have.
LAYERS = {
    "lstm": Layer(
        "an LSTM",
        "LSTM",
        "LSTM",
        "OptimizedLSTMCell",
        {"input": "i", "forget": "f", "candidate": "c", "output": "o"},
        "dense_h",
    ),
    "GRUCell": Layer(
        "a GRU",
        "GRU",
        "GRU",
        "GRUCell",
        {"output": "r", "forget": "z", "candidate": "n"},
    ),
    "SimpleCell": Layer(
        "an Elman network", "SimpleRNN", "RNN", "SimpleCell", {"candidate": "n"}
    ),
}
# the knobs that a script has, or that `_check` refuses
KNOBS = frozenset(
    [
        *("model.cell", "model.units", "model.readout", "model.layers"),
        "model.initial_carry",
        *("recipe.name", "recipe.init", "recipe.forget_bias", "recipe.freeze"),
        *("recipe.lr", "recipe.lr_width", "recipe.falls_above", "recipe.schedule"),
        *("recipe.floor", "recipe.warmup", "recipe.warmup_share", "recipe.budget"),
        *("recipe.batch", "recipe.lags", "recipe.curriculum", "recipe.advance"),
        *("recipe.deadline", "recipe.clip", "recipe.clip_by", "recipe.optimizer"),
        "recipe.decay",
    ]
)
COMPILED = (
    "flax",
    "keras",
)  # another length would be another program, so all batches have one buffer

# of the lists in a script
INDENT = "    "
LINE = 96

ORTHOGONAL = '''\
def orthogonal(rng, size):
    """A random orthogonal matrix."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))'''

JUDGE = '''\
def score_of(outputs, targets, due):
    """{metric} over the answers that are due."""
    return float({score})


def evaluate(predict, rng, lag, length, sequences):
    """The score on sequences that training never saw."""
    inputs, targets, due = draw(rng, lag, length, max(length, LENGTH), sequences{unseen})
    return score_of(np.asarray(predict(inputs)), targets, due)'''

TRAIN = '''\
def train(train_step, predict, rng):
    """Train until fresh sequences are solved, or the budget is used up. Returns the verdict."""
    passes = 0
{start}    for step in range(1, BUDGET + 1):
{draw}
{update}        if step % EVERY:
            continue
{skip}
        held_out = evaluate(predict, rng, LAG, LENGTH, SEQUENCES)
        passes = passes + 1 if held_out {better} THRESHOLD else 0
        print(f"step {{step}}: {metric} {{held_out:.4f}} on {{SEQUENCES}} {fresh} sequences")
        if passes >= SUCCESSIVE:
{verdict}
    return "{failure} within the budget: try another seed, as some starts fail at any width"'''

SHORT_LAG = """\
        if curriculum.lag < LAG:
            print(f"step {step}: trains at lag {curriculum.lag} of {LAG}")
            continue
"""

STEADY = """\
            longer = evaluate(predict, rng, LONGER_LAG, LONGER_LENGTH, SEQUENCES // 4)
            print(f"step {{step}}: {metric} {{longer:.4f}} on sequences of {{LONGER_LENGTH}} steps")
            if longer {better} THRESHOLD:
                return f"STEADY after {{step}} steps: solved, and also on much longer sequences"
"""

UP_TO = """\
            scores = [evaluate(predict, rng, lag, length_of(lag), {sequences}) for lag in LAGS]
            mean, worst = sum(scores) / len(scores), {worst}(scores)
            print(f"step {{step}}: {metric} {{mean:.4f}} over lags {{LAGS[0]}} to {{LAG}},")
            print(f"    at worst {{worst:.4f}}, at lag {{LAGS[scores.index(worst)]}}")
            if mean {better} THRESHOLD and worst {better} {allowed:.6g}:
                return f"RIGHT AT EVERY LAG UP TO {{LAG}} after {{step}} steps"
"""

CURRICULUM = '''\
class Curriculum:
    """Trains at a shorter lag first, which rises by one when the running score is good enough."""

    def __init__(self):
        self.lag, self.score, self.arrived = START, {after_a_rise}, {arrived}

    def update(self, step, score):
        """After a training step and its score; at DEADLINE of the budget the lag is LAG at the latest."""
{as_accuracy}        self.score = {decay} * self.score + {rest:.2g} * score
        line = START + int((LAG - START) * min(1, step / (DEADLINE * BUDGET)))
        lag = min(max(self.lag + (self.score >= ADVANCE), line), LAG)
        if lag > self.lag:
            self.lag, self.score = lag, {after_a_rise}
        if self.arrived is None and lag == LAG:
            self.arrived = step

    def rate(self, step):
        """Of a step, from 0 on: {words}."""
        rate = {rate}
{falls}'''  # noqa: E501


def script(member: Member, framework: str, heading: str = "") -> str:
    """Write a Python script that trains and judges a member.

    Args:
        member: a net of an LSTM, a GRU or an Elman network with a dense read-out and a
            fixed initial carry, on sequences of the task's own length.
        framework: one of `FRAMEWORKS`.
        heading: what its docstring says about the width.

    Raises:
        UserError: no such framework, another network or length, or windows of several lengths.
    """
    _check(member, framework)
    model = member.model
    task = member.task
    recipe = member.recipe
    values = task.loss == "values"
    knobs = set_words(task)
    with_length = recipe.with_other_lags or _is_up_to(member)
    imports = ""
    remark = ""
    try:
        source = numpy_source(
            task, with_length, min(member.lag, 2)
        )  # a file may not have a lag of 2
    except NoTwinError as error:
        source = memcap_source(task, with_length)
        imports = "import jax\n" * (framework != "flax") + "import memcap\n"
        remark = f"\n\nIts sequences are drawn by memcap (pip install memcap), since {error}."
    window = _window(member)
    in_keras, in_torch, in_flax = OPTIMIZERS.get(recipe.optimizer, OPTIMIZERS["adam"])
    keras_clip, torch_clip, flax_clip = CLIPPINGS[recipe.clip_by]
    cut = window is not None and window < member.length
    marks = {name: recipe.optimizer == name for name in IN_TEMPLATES}
    whole = recipe.optimizer.upper() if recipe.optimizer in ("soap", "ggt") else None
    return Template(
        _template(framework, windows=cut, whole=whole is not None, **marks)
    ).substitute(
        **_layer_names(member),
        size=plural(model.units, "unit")
        + (f" in each of {model.layers} layers" if model.layers > 1 else ""),
        label=task.name + (f" ({', '.join(knobs)})" if knobs else ""),
        lag=member.lag,
        heading=(heading or f"The recipe is memcap's `{recipe.name}`.") + remark,
        imports=imports,
        file=f"{task.name.replace(':', '_')}_{member.lag}",
        constants=_constants(member)
        + (f"\nWINDOW = {window}  # steps between cuts" if cut else ""),
        task=f"{source}\n\n\n{_draw(member, window is not None)}",
        weights=_weights(member, framework),
        schedule=_learning_rate(member)
        if recipe.curriculum is None
        else _curriculum(member),
        judge=_judge(member),
        train=_train(member, framework in COMPILED),
        keras_loss="MeanSquaredError" if values else "SparseCategoricalCrossentropy",
        keras_logits="" if values else "from_logits=True, ",
        keras_metric="MeanSquaredError" if values else "SparseCategoricalAccuracy",
        keras_optimizer=(
            f"{whole}()" if whole else f"keras.optimizers.{in_keras}{keras_clip}=CLIP)"
        ),
        keras_clip=keras_clip,
        keras_clipped=(
            "keras.ops.clip(flat, -CLIP, CLIP)"
            if recipe.clip_by == "element"
            else "flat * CLIP / keras.ops.maximum(keras.ops.norm(flat), CLIP)"
        ),
        torch_loss="mse_loss" if values else "cross_entropy",
        torch_optimizer=f"{whole}(trained)" if whole else f"torch.optim.{in_torch}",
        torch_clip=torch_clip,
        flax_loss=(
            "optax.squared_error(outputs, targets).mean(-1)"
            if values
            else "optax.softmax_cross_entropy_with_integer_labels(outputs, targets)"
        ),
        flax_direction=f"scale_by_{recipe.optimizer}()"
        if whole
        else f"optax.{in_flax}",
        flax_clip=flax_clip,
    )


def check_network(model: Model, framework: str) -> None:
    """Raise UserError if no script has this network."""
    if model.cell not in LAYERS:
        raise UserError(
            f"code={framework}: scripts are for the cells {', '.join(LAYERS)}, not for"
            f" {model.cell}, which memcap alone trains: memcap train model.cell={model.cell}"
        )
    if model.readout != "dense":
        raise UserError(
            f"code={framework}: a script has a dense read-out, not one by an {model.readout};"
            f" {_by_memcap(framework)}"
        )
    refuse_unknown(framework, model=model)


def _check(member: Member, framework: str) -> None:
    """Raise UserError if no script can train this member."""
    if framework not in TEMPLATES:
        raise UserError(
            f"code={framework}: no such framework; one of {', '.join(FRAMEWORKS)}"
        )
    model = member.model
    task = member.task
    recipe = member.recipe
    check_network(model, framework)
    refuse_unknown(framework, recipe=recipe)
    if model.initial_carry != "fixed":
        raise UserError(
            f"model.initial_carry={model.initial_carry}: a script starts from zeros"
        )
    if recipe.optimizer not in (*OPTIMIZERS, *IN_TEMPLATES):
        raise UserError(
            f"recipe.optimizer={recipe.optimizer}: no script trains by it;"
            f" {_by_memcap(framework)}"
        )
    if recipe.init == "flax":
        raise UserError(
            "recipe.init=flax: a script starts as memcap does; set recipe.init=forget_bias"
        )
    if recipe.freeze is not None:
        raise UserError(
            f"recipe.freeze={recipe.freeze}: a script trains all weights; leave it null"
        )
    if member.length != task.length(member.lag):
        raise UserError(
            f"task.length={member.length}: a script is of the task's own length,"
            f" {task.length(member.lag)}"
        )


def refuse_unknown(framework: str, **parts: Any) -> None:
    """Raise UserError for a knob of a network or recipe that no script has."""
    if knob := unknown_knob(KNOBS, **parts):
        raise UserError(f"{knob}: a script does not know it; {_by_memcap(framework)}")


def _by_memcap(framework: str) -> str:
    """Say how to have a net in a framework that no script there can train."""
    return (
        f"train it by memcap, and take its weights: memcap export KEY --layout {framework} -o"
        " weights.npz"
    )


def _is_up_to(member: Member) -> bool:
    return member.evaluation.until == "up_to"


def _template(framework: str, **marks: bool) -> str:
    """Read a framework's template, keeping the lines under each mark that is true, and
    under the "else" of each other."""
    text = TEMPLATES[framework].read_text(encoding="utf-8")
    return re.sub(
        rf"^ *#({'|'.join(marks)})\n(.*?)(?:^ *#else\n(.*?))?^ *#end\n",
        lambda match: match[2] if marks[match[1]] else match[3] or "",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def _window(member: Member) -> int | None:
    """Return the steps of a window, the first of which starts with the sequence; None
    if there is only one. Raise UserError if windows have several lengths, or come with
    a curriculum or longer sequences.
    """

    def draw() -> Batch:
        return member.task.sample(
            jax.random.key(0), member.lag, member.length, member.length, 1
        )

    if jax.eval_shape(draw).window_starts is None:
        return None
    starts = np.flatnonzero(np.asarray(draw().window_starts))
    window = int(starts[1]) if len(starts) > 1 else member.length
    if not np.array_equal(starts, np.arange(0, member.length, window)):
        raise UserError(
            f"task {member.task.name}: windows of a script have one length, from the first"
            " step on"
        )
    if member.recipe.with_other_lags or member.evaluation.until != "solved":
        raise UserError(
            f"task {member.task.name}: a script with windows has sequences of one length; give it"
            " a recipe of one lag, and evaluation.until=solved"
        )
    return window


def _constants(member: Member) -> str:
    task = member.task
    recipe = member.recipe
    rule = member.evaluation
    longer = task.stretched(member.lag, rule.stretch)
    sign = "least" if task.higher_is_better else "most"
    lines = [
        (
            f"LAG, LENGTH, FEATURES, OUTPUTS = {member.lag}, {member.length}, {task.features},"
            f" {task.outputs}"
        ),
        f"UNITS = {member.model.units}",
        (
            f"ENTERING = [FEATURES{', UNITS' * (member.model.layers - 1)}]  # numbers that enter"
            " each layer"
        ),
        (
            f"BATCH, BUDGET, RATE, CLIP = {recipe.batch}, {recipe.budget}, {_peak(member):.6g},"
            f" {recipe.clip:g}"
        ),
    ]
    lines += _optimizer_constants(recipe.optimizer)
    if recipe.curriculum is not None:
        start = max(task.smallest_lag, math.ceil(recipe.curriculum * member.lag))
        lines.append(
            f"START, ADVANCE, DEADLINE = {start}, {recipe.advance}, {recipe.deadline}"
        )
    sequences = task.part_sizes[1] if isinstance(task, FileTask) else rule.sequences
    lines += [
        f"THRESHOLD = {member.facts.threshold:.6g}  # solved: {task.metric} at {sign} this,",
        (
            f"SEQUENCES, EVERY, SUCCESSIVE = {sequences}, {rule.every}, {rule.successive}"
            f"  # on {'held-out' if draws_unseen(task) else 'fresh'} ones, so often in a row"
        ),
    ]
    if recipe.lags is not None:
        lines.append(
            f"SHORTEST_LAG = {task.smallest_lag}  # each batch has a lag of its own, from here on"
        )
    if _is_up_to(member):
        lags = textwrap.fill(", ".join(str(lag) for lag, _ in member.lags_up_to), LINE)
        lines += [
            "LAGS = [  # at each of which the net is to be right",
            textwrap.indent(lags, INDENT),
            "]",
        ]
    if rule.until == "steady":
        lines.append(
            f"LONGER_LAG, LONGER_LENGTH = {longer[0]}, {longer[1]}  # steady: there, too"
        )
    return "\n".join(lines)


def _optimizer_constants(optimizer: str) -> list[str]:
    """Write the constants of an optimizer that is in the templates."""
    if optimizer == "muon":
        from memcap.optimizers import (
            COEFFICIENTS,
            MUON_DECAY,
            MUON_RMS,
        )  # which needs JAX

        return [
            (
                f"MOMENTUM, STEP_RMS = {MUON_DECAY}, {MUON_RMS}  # of Muon; its step's root mean"
                " square"
            ),
            "NEWTON_SCHULZ = [  # brings singular values to 1",
            *(f"{INDENT}{each}," for each in COEFFICIENTS),
            "]",
        ]
    if optimizer == "soap":
        from memcap.optimizers import (
            MEAN_DECAY,
            SOAP_DECAY,
            SOAP_EVERY,
            SOAP_FLOOR,
            SQUARE_DECAY,
        )

        return [
            f"TURN = {SOAP_EVERY}  # of SOAP: steps from basis to basis",
            f"MEAN_DECAY, SQUARE_DECAY, DECAY = {MEAN_DECAY}, {SQUARE_DECAY}, {SOAP_DECAY}",
            f"FLOOR = {SOAP_FLOOR}  # least variance, as a share of the largest",
        ]
    if optimizer == "ggt":
        from memcap.optimizers import (
            GGT_DECAY,
            GGT_EVERY,
            GGT_FLOOR,
            GGT_WINDOW,
            MEAN_DECAY,
            SQUARE_DECAY,
        )

        return [
            (
                f"GRADIENTS, TURN = {GGT_WINDOW}, {GGT_EVERY}  # of GGT: in a window; steps from"
                " basis to basis"
            ),
            f"MEAN_DECAY, SQUARE_DECAY, DECAY = {MEAN_DECAY}, {SQUARE_DECAY}, {GGT_DECAY}",
            f"FLOOR = {GGT_FLOOR}  # least variance, as a share of the largest",
        ]
    return []


def _peak(member: Member) -> float:
    """Return the peak learning rate; under a curriculum it falls by the lag of each step."""
    recipe = member.recipe
    units = member.model.units
    return (
        recipe.rate(units)
        if recipe.curriculum is not None
        else recipe.peak(member.lag, units)
    )


def _draw(member: Member, windows: bool) -> str:
    """Write the function that draws a batch for the layers: batch first, one-hot, and
    with a mask of due answers."""
    task = member.task
    arguments = "rng, lag, length, steps, batch"
    source = "sample"
    if draws_unseen(task):
        arguments = f"{arguments}, source=sample"
        source = "source"
    inputs = (
        "inputs.swapaxes(0, 1).astype(np.float32)"
        if task.vocabulary is None
        else "np.eye(FEATURES, dtype=np.float32)[inputs.T]"
    )
    shape = "(B, T, OUTPUTS)" if task.loss == "values" else "(B, T)"
    head = [
        f"def draw({arguments}):",
        f'    """Inputs (B, T, FEATURES), targets {shape}, and where an answer is due (B, T)."""',
    ]
    if task.answers == "every":
        targets = "targets.T"
        if task.loss == "values":
            targets = "targets.T" if task.several_values else "targets.T[..., None]"
            targets += ".astype(np.float32)"
        else:
            targets += ".astype(np.int64)"
        return "\n".join(
            [
                *head,
                (
                    f"    inputs, targets, due{', _' * windows} = {source}(rng, lag, length,"
                    " steps, batch)"
                ),
                f"    return {inputs}, {targets}, due.T.copy()",
            ]
        )
    targets = "targets[:, None]"
    dtype = "int64"
    if task.loss == "values":
        targets = (
            "targets.T[:, None]" if task.several_values else "targets[:, None, None]"
        )
        dtype = "float32"
    last = ", OUTPUTS" if task.loss == "values" else ""
    return "\n".join(
        [
            *head,
            f"    inputs, targets = {source}(rng, lag, length, steps, batch)",
            f"    targets = np.broadcast_to({targets}, (batch, steps{last})).astype(np.{dtype})",
            "    due = np.broadcast_to(np.arange(steps) == length - 1, (batch, steps)).copy()",
            f"    return {inputs}, targets, due",
        ]
    )


def _layer_names(member: Member) -> dict[str, str]:
    """Return the templates' names of the layer and of the carry that enters the next window."""
    layer = LAYERS[member.model.cell]
    carries = {
        "keras": "[keras.ops.stop_gradient(each) for each in carry]",
        "torch": (
            "tuple(each.detach() for each in carry)"
            if layer.torch == "LSTM"
            else "carry.detach()"
        ),
        "flax": "jax.lax.stop_gradient(carry)",
    }
    return {
        "net": layer.words,
        "layer": layer.torch.lower(),
        "keras_layer": layer.keras,
        "torch_layer": layer.torch,
        "flax_cell": layer.flax,
        "flax_bias": layer.flax_bias,
        "gates": str(len(layer.letters)),
        **{
            f"{name}_carry": "None" if member.task.reset_carry else each
            for name, each in carries.items()
        },
    }


def _weights(member: Member, framework: str) -> str:
    """Write the function that draws a layer's initial weights as its preset does
    (memcap/cells/gates.py)."""
    init = member.init
    letters = LAYERS[member.model.cell].letters
    assert init is not None  # `_check` refuses Flax's own initialiser
    in_keras = framework == "keras" and member.model.cell == "GRUCell"
    roles = ["forget", "output", "candidate"] if in_keras else list(letters)
    biases = {
        "input": f"{init.input:.6g}",
        "forget": f"{init.forget:.6g}",
        "output": f"{init.output:g}",
    }
    biases["candidate"] = "0"
    lines = []
    gates = len(roles)
    bias = f"np.repeat([{', '.join(biases[role] for role in roles)}], UNITS)"
    if init.spread is not None and "forget" in roles:
        lines = [f"    keep = np.log(rng.uniform(1, {init.spread:g}, UNITS))"]
        parts = {"input": "-keep", "forget": "keep"}
        parts = [parts.get(role, f"np.full(UNITS, {biases[role]})") for role in roles]
        bias = f"np.concatenate([{', '.join(parts)}])"
    wide = f"{gates} * UNITS" if gates > 1 else "UNITS"
    blocks = f"    blocks = [orthogonal(rng, UNITS) for _ in range({gates})]"
    if init.together:
        blocks = f"    blocks = np.split(orthogonal(rng, {wide})[:UNITS], {gates}, 1)"
    lines += [
        f"    limit = np.sqrt(6 / (features + {wide}))",
        f"    kernel = rng.uniform(-limit, limit, (features, {wide}))",
        blocks,
    ]
    if init.gain != 1:
        place = roles.index("candidate")
        lines.append(f"    blocks[{place}] = {init.gain:g} * blocks[{place}]")
    lines += ["    recurrent = np.concatenate(blocks, axis=1)", f"    bias = {bias}"]
    if in_keras:
        lines += [
            "    # Keras trains a second bias, of the state's product; memcap's GRU has none",
            "    bias = np.stack([bias, np.zeros_like(bias)])",
        ]
    lines.append(
        "    return [array.astype(np.float32) for array in (kernel, recurrent, bias)]"
    )
    wide = f"{gates} UNITS" if gates > 1 else "UNITS"
    order = f", gates {', '.join(letters[role] for role in roles)}" if gates > 1 else ""
    head = [
        "def initial_weights(rng, features):",
        f'    """Kernel (features, {wide}), recurrent (UNITS, {wide}) and bias{order}.',
        "",
        f"    As memcap's `{member.recipe.init}` starts them: what trains depends on it.",
        '    """',
    ]
    return "\n".join([ORTHOGONAL, "", "", *head, *lines])


def _warm(member: Member) -> str:
    """Write the factor of a warmup, if there is one."""
    warmup = member.recipe.warmup_steps
    return f" * min(1, (step + 1) / {warmup})" if warmup > 1 else ""


def _cosine(recipe: ResolvedRecipe) -> str:
    """Write the factor of a cosine over the budget."""
    cosine = "(1 + np.cos(np.pi * step / BUDGET)) / 2"
    return (
        cosine
        if recipe.floor is None
        else f"({recipe.floor} + {1 - recipe.floor} * {cosine})"
    )


def _learning_rate(member: Member) -> str:
    """Write the learning rate of a recipe without a curriculum."""
    recipe = member.recipe
    rate = "RATE" + _warm(member)
    words = (
        f"a warmup of {recipe.warmup_steps} steps, then "
        if recipe.warmup_steps > 1
        else ""
    )
    if recipe.schedule == "cosine":
        rate = rate + f" * {_cosine(recipe)}"
        words = words + f"a cosine to {recipe.floor or 0:g}"
    else:
        words += "constant"
    return f'def learning_rate(step):\n    """Of a step, from 0 on: {words}."""\n    return {rate}'


def _curriculum(member: Member) -> str:
    """Write the curriculum of a recipe, with its lag and the learning rate that depends on it."""
    recipe = member.recipe
    task = member.task
    words = (
        f"less at lags above {recipe.falls_above}"
        if recipe.falls_above
        else "the same at any lag"
    )
    rate = "RATE" + _warm(member)
    if recipe.falls_above:
        rate += f" * min(1, {recipe.falls_above} / self.lag)"
    falls = "        return rate"
    if recipe.schedule == "cosine":
        falls = f"        return rate * {_cosine(recipe)}"
    elif recipe.schedule == "arrive":
        words += ", then a cosine to 0"
        falls = (
            "        if self.arrived is None:\n            return rate\n"
            "        share = (step - self.arrived) / (BUDGET - self.arrived)\n"
            "        return rate * (1 + np.cos(np.pi * share)) / 2"
        )
    as_accuracy = ""
    if not task.higher_is_better:
        as_accuracy = (
            f"        score = max(0, 1 - {PER_THRESHOLD} * score / THRESHOLD)\n"
        )
    return CURRICULUM.format(
        after_a_rise=AFTER_A_RISE,
        arrived="None if START < LAG else 0",
        as_accuracy=as_accuracy,
        decay=DECAY,
        rest=1 - DECAY,
        words=words,
        rate=rate,
        falls=falls,
    )


def _judge(member: Member) -> str:
    unseen = ", unseen" if draws_unseen(member.task) else ""
    if member.task.loss == "values":
        score = "((outputs - targets)[due] ** 2).mean()"
        return JUDGE.format(metric="Mean squared error", score=score, unseen=unseen)
    return JUDGE.format(
        metric="Accuracy",
        score="(outputs.argmax(-1) == targets)[due].mean()",
        unseen=unseen,
    )


def _train(member: Member, one_buffer: bool) -> str:
    words = {
        "metric": member.task.metric,
        "fresh": "held-out" if draws_unseen(member.task) else "fresh",
        "better": ">=" if member.task.higher_is_better else "<=",
        "failure": (
            "NOT RIGHT AT EVERY LAG"
            if _is_up_to(member)
            else f"NOT {member.evaluation.until}".upper()
        ),
    }
    if member.evaluation.until == "steady":
        verdict = STEADY.format(**words)
    elif _is_up_to(member):
        sequences = min(256, member.evaluation.sequences)
        verdict = UP_TO.format(
            sequences=sequences,
            worst="min" if member.task.higher_is_better else "max",
            allowed=member.criterion.on_few(sequences).threshold,
            **words,
        )
    else:
        verdict = '            return f"SOLVED after {step} steps"\n'
    buffer = "LENGTH" if one_buffer else "length"
    if member.recipe.curriculum is None:
        drawn = (
            "        lag = int(rng.integers(SHORTEST_LAG, LAG + 1))\n        length ="
            " length_of(lag)\n"
        )
        drawn += f"        batch = draw(rng, lag, length, {buffer}, BATCH)\n"
        if member.recipe.lags is None:
            drawn = "        batch = draw(rng, LAG, LENGTH, LENGTH, BATCH)\n"
        return TRAIN.format(
            start="",
            draw=f"{drawn}        train_step(*batch, learning_rate(step - 1))",
            update="",
            skip="",
            verdict=verdict,
            **words,
        )
    lag = "curriculum.lag"
    if member.recipe.lags is not None:
        lag = "int(rng.integers(SHORTEST_LAG, curriculum.lag + 1))"
    return TRAIN.format(
        start="    curriculum = Curriculum()\n",
        draw=(
            f"        lag = {lag}\n        length = length_of(lag)\n"
            f"        batch = draw(rng, lag, length, {buffer}, BATCH)\n"
            "        score = train_step(*batch, curriculum.rate(step - 1))"
        ),
        update="        curriculum.update(step, score)\n",
        skip=SHORT_LAG,
        verdict=verdict,
        **words,
    )
