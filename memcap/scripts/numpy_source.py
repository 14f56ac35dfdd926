"""A task's sequences in NumPy: source without memcap, translated from the task's own `sample`.

JAX's arrays have NumPy's functions under the same names, so a task's code reads nearly
the same in both. Knobs become their values, branches that these rule out are dropped,
keys become one `np.random.Generator`, and called functions are included, as are arrays
of a module and of a user's file. So there is no second copy of a task that could differ
from the first: a task that cannot be translated, or whose translation does not run, is
drawn by memcap instead (memcap_source.py).
"""

import ast
import builtins
import inspect
import math
import sys
import textwrap
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from memcap.own.file import Sequences, at_the_end, example, parts_of
from memcap.tasks import Batch, Task
from memcap.tasks.base import integers

MISSING = object()  # the value of a name that has none outside its function
RENAMED = {"length": "length_of"}  # as `sample` has an argument `length`
# Functions of Python that are the same in a script.
PYTHON = {
    "abs",
    "bool",
    "enumerate",
    "float",
    "int",
    "len",
    "list",
    "max",
    "min",
    "range",
    "reversed",
}
PYTHON |= {"round", "sorted", "sum", "tuple", "zip"}
MATHS = {
    "cos",
    "exp",
    "log",
    "log2",
    "sin",
    "sqrt",
}  # of `math`; NumPy has them by the same names
SMALL = 64  # most numbers of an array that is written out

SCAN = '''\
def scan(step, carry, rows):
    """Take `step` from row to row with a carry. Returns the last one, and what came out at each row."""
    results = []
    for row in zip(*rows):
        carry, result = step(carry, row)
        results.append(result)
    return carry, np.stack(results)'''  # noqa: E501


class NoTwinError(Exception):
    """Raised if a task uses something without a NumPy twin; says what, in a clause."""


@cache
def _draws() -> dict[Any, str]:
    """Return NumPy's call for each function that draws; {0} is the first argument after the key."""
    return {
        integers: "rng.integers({1}, {2}, {0})",
        jax.random.randint: "rng.integers({1}, {2}, {0})",
        jax.random.uniform: "rng.random({0})",
        jax.random.normal: "rng.standard_normal({0})",
        jax.random.bernoulli: "(rng.random({1}) < {0})",
        jax.random.gumbel: "rng.gumbel(0, 1, {0})",
        jax.random.bits: "rng.integers(0, 2**32, {0}, {1})",
    }


def numpy_source(task: Task, with_length: bool = True, lag: int = 2) -> str:
    """Return the source of a task's functions in NumPy.

    They are `sample(rng, lag, length, steps, batch)`, which returns the fields of a
    `Batch` that are not None, as NumPy arrays; `unseen`, the same for held-out
    sequences, if the task draws them differently; and `length_of(lag)`, if wanted.
    Functions that they use come before them. The source is tried at this lag, or at the
    task's smallest one.

    Raises:
        NoTwinError: the task uses something that cannot be translated.
    """
    functions: dict[str, str] = {}
    draws = ("sample", "unseen") if draws_unseen(task) else ("sample",)
    for name in (*draws, *["length"] * with_length):
        _translate(task, getattr(task, name), functions)
    text = ""
    for each in functions.values():
        between = "\n\n\n" if "def " in text.rpartition("\n\n\n")[2] + each else "\n"
        text += (between if text else "") + each
    for name in draws:
        _check_shapes(task, name, text, max(task.smallest_lag, lag))
    return text


def draws_unseen(task: Task) -> bool:
    """Return whether the task draws held-out sequences differently from those of training."""
    return type(task).unseen is not Task.unseen


def _check_shapes(task: Task, name: str, text: str, lag: int) -> None:
    """Run a function of the source once; raise NoTwinError if that fails, or its
    arrays' shapes are not those of the task."""
    sizes = lag, task.length(lag), task.length(lag), 3
    wanted = jax.eval_shape(
        lambda key: getattr(task, name)(key, *sizes), jax.random.key(0)
    )
    names: dict[str, Any] = {"np": np}
    try:
        eval(compile(text, name, "exec"), names)
        arrays = names[name](np.random.default_rng(0), *sizes)
    except Exception as error:
        raise NoTwinError(
            f"its `{name}` does not run in NumPy ({type(error).__name__})"
        ) from error
    if [each.shape for each in arrays] != [
        each.shape for each in wanted if each is not None
    ]:
        raise NoTwinError(f"its `{name}` gives other shapes in NumPy")


def _translate(task: Task, function: Any, functions: dict[str, str]) -> str:
    """Add a function's source to `functions`, after those that it calls. Return its name there."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    name = RENAMED.get(function.__name__, function.__name__)
    if name in functions:
        return name
    tree = _parse(function, f"its {function.__name__}")[0]
    assert isinstance(tree, ast.FunctionDef)
    translator = _Translator(task, function.__globals__, tree, functions)
    translated = translator.visit(tree)
    translated.name = name
    translated.decorator_list = []
    functions[name] = ast.unparse(ast.fix_missing_locations(translated))
    return name


def _parse(source: Any, name: str) -> list[ast.stmt]:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(source))).body
    except (OSError, TypeError, SyntaxError) as error:
        raise NoTwinError(f"the source of {name} is not at hand") from error


def _constant(
    task: Task, name: str, names: dict[str, Any], functions: dict[str, str]
) -> None:
    """Add an array of a module to `functions`: its numbers if they are few, otherwise
    the code that makes it."""
    value = names[name]
    if name in functions:
        return
    if value.size <= SMALL:
        functions[name] = f"{name} = np.array({value.tolist()})"
        return
    for each in _parse(sys.modules[names["__name__"]], name):
        match each:
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                translation = _Translator(task, names, each, functions).visit(each)
                functions[name] = ast.unparse(ast.fix_missing_locations(translation))
                return
    raise NoTwinError(f"the source of {name} is not at hand")


class _Translator(ast.NodeTransformer):
    """Translates a function of a task, or the code of an array in its module, from JAX to NumPy."""

    def __init__(
        self,
        task: Task,
        names: dict[str, Any],
        tree: ast.stmt,
        functions: dict[str, str],
    ) -> None:
        self.task = task
        self.globals = names
        self.functions = functions
        arguments = {
            each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)
        } - {"self", "key"}
        stored = {
            n.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        inner = {
            n.name
            for n in ast.walk(tree)
            if isinstance(n, ast.FunctionDef) and n is not tree
        }
        self.locals = arguments | stored | inner
        self.keys = {"key"}

    def value(self, node: ast.AST) -> Any:
        """Return the value of a dotted name outside the function; MISSING if there is none."""
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            return MISSING if owner is MISSING else getattr(owner, node.attr, MISSING)
        if not isinstance(node, ast.Name) or node.id in self.locals:
            return MISSING
        if node.id == "self":
            return self.task
        return self.globals.get(node.id, getattr(builtins, node.id, MISSING))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Leave out annotations and the task itself, and make the key a generator."""
        arguments = [a for a in node.args.args if a.arg != "self"]
        for each in arguments:
            each.annotation = None
            each.arg = "rng" if each.arg == "key" else each.arg
        node.args.args = arguments
        node.returns = None
        docstring = [s for s in node.body[:1] if ast.get_docstring(node) is not None]
        node.body = docstring + self._statements(node.body[len(docstring) :])
        return node

    def _statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for each in body:
            new = self.visit(each)
            statements += (
                new if isinstance(new, list) else [new] if new is not None else []
            )
            if statements and isinstance(statements[-1], ast.Return):
                break  # what follows is for other knobs
        return statements

    def visit_Delete(self, node: ast.Delete) -> None:
        """Leave out a `del`, which only marks an unused argument."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Leave out the annotation."""
        assert node.value is not None
        return self.visit_Assign(ast.Assign([node.target], node.value))

    def visit_Assign(self, node: ast.Assign) -> Any:
        """Leave out keys, and turn JAX's updates of a copy into assignments."""
        value = node.value
        if isinstance(value, ast.Call) and self.value(value.func) in (
            jax.random.split,
            jax.random.fold_in,
        ):
            names = {
                n.id
                for each in node.targets
                for n in ast.walk(each)
                if isinstance(n, ast.Name)
            }
            self.locals -= names
            self.keys |= names
            return None
        match value:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Subscript(
                        value=ast.Attribute(value=array, attr="at"), slice=where
                    ),
                    attr="set",
                ),
                args=[new],
            ):
                return [
                    ast.Assign(node.targets, self.visit(array)),
                    ast.Assign(
                        [
                            ast.Subscript(
                                ast.Name(ast.unparse(node.targets[0])),
                                self.visit(where),
                            )
                        ],
                        self.visit(new),
                    ),
                ]
        node.value = self.visit(value)
        node.targets = [self.visit(each) for each in node.targets]
        return (
            None
            if list(map(ast.unparse, node.targets)) == [ast.unparse(node.value)]
            else node
        )

    def visit_Return(self, node: ast.Return) -> Any:
        """Turn a returned batch into a tuple of its arrays."""
        match node.value:
            case ast.Call(func=func, args=args, keywords=keywords) if (
                self.value(func) is Batch
            ):
                values = [*args, *(each.value for each in keywords)]
                return ast.Return(
                    ast.Tuple([self.visit(each) for each in values], ast.Load())
                )
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        """Take the branch that the knobs choose, if they decide it.

        Leave out checks of arguments, as a member's are valid.
        """
        if isinstance(node.body[-1], ast.Raise) and not node.orelse:
            return None
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self._statements(node.body if test.value else node.orelse)
        return ast.If(test, self._statements(node.body), self._statements(node.orelse))

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        """Take the value that the knobs choose, if they decide it."""
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_Name(self, node: ast.Name) -> Any:
        """Replace a knob or a constant by its value, and a key by the generator."""
        if isinstance(node.ctx, ast.Store) or node.id in self.locals:
            return node
        return ast.Name("rng") if node.id in self.keys else self._named(node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Replace a knob or a constant by its value, and a JAX function by NumPy's."""
        return (
            self.generic_visit(node)
            if self.value(node) is MISSING
            else self._named(node)
        )

    def _named(self, node: ast.Name | ast.Attribute) -> Any:
        value = self.value(node)
        name = ast.unparse(node)
        if _is_plain(value):
            return _literal(value)
        if isinstance(value, np.ndarray):
            return self._array(node)
        if (
            isinstance(node, ast.Attribute)
            and _is_module(self.value(node.value), jnp)
            and hasattr(np, node.attr)
        ):
            return _expression(f"np.{node.attr}")
        if isinstance(node, ast.Attribute) and _is_of_numpy(self.value(node.value)):
            return node
        if name in PYTHON and value is getattr(builtins, name):
            return node
        if isinstance(value, (FunctionType, MethodType)) or hasattr(
            value, "__wrapped__"
        ):
            module = getattr(inspect.unwrap(value), "__module__", "")
            if not module.startswith("jax"):
                return ast.Name(_translate(self.task, value, self.functions))
        raise NoTwinError(f"it uses {name}")

    def _array(self, node: ast.Name | ast.Attribute) -> ast.Name:
        """Return the script's name of an array of the module or of a user's file."""
        if isinstance(node, ast.Name):
            _constant(self.task, node.id, self.globals, self.functions)
            return ast.Name(node.id)
        file = self.value(node.value)
        if not isinstance(file, Sequences):
            raise NoTwinError(f"it uses {ast.unparse(node)}")
        for each in (at_the_end, example, parts_of):
            if f"{each.__name__}(" in file.source:
                _translate(self.task, each, self.functions)
        self.functions["FILE"] = file.source
        return ast.Name(node.attr.upper())

    def visit_Call(self, node: ast.Call) -> Any:
        """Draw from the generator, and leave out calls that only concern JAX's compiler."""
        function = self.value(node.func)
        if function in (lax.platform_dependent, lax.optimization_barrier):
            return self.visit(node.args[0])
        if function is lax.scan:
            return self._scan(node)
        draw = self._draw(function)
        if draw is None:
            return self._of_math(self._folded(self.generic_visit(node)))
        if node.keywords or len(node.args) - 1 != draw.count("{"):
            raise NoTwinError(f"it draws by {ast.unparse(node)}")
        return _expression(
            draw.format(*(ast.unparse(self.visit(each)) for each in node.args[1:]))
        )

    def _scan(self, node: ast.Call) -> ast.Call:
        """Turn a scan over rows into a Python loop."""
        if (
            node.keywords
            or len(node.args) != 3
            or not isinstance(node.args[2], ast.Tuple)
        ):
            raise NoTwinError(f"it loops by {ast.unparse(node)}")
        self.functions["scan"] = SCAN
        return ast.Call(ast.Name("scan"), [self.visit(each) for each in node.args], [])

    def _of_math(self, node: Any) -> Any:
        """Replace a function of Python's `math`, which the script does not import, by NumPy's."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name)) if (
                name in MATHS
            ):
                return ast.Call(_expression(f"np.{name}"), node.args, [])
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name)):
                raise NoTwinError(f"it uses math.{name}")
        return node

    def _draw(self, function: Any) -> str | None:
        return next((text for each, text in _draws().items() if each is function), None)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Find the places of the largest entries by sorting."""
        match node:
            case ast.Subscript(
                value=ast.Call(func=func, args=[array, count]),
                slice=ast.Constant(value=1),
            ):
                if self.value(func) is lax.top_k:
                    array, count = (
                        ast.unparse(self.visit(each)) for each in (array, count)
                    )
                    return _expression(f"np.argsort(-({array}))[:, :{count}]")
        return self._folded(self.generic_visit(node))

    def visit_BinOp(self, node: ast.expr) -> Any:
        """Compute the value, where the knobs decide it."""
        return self._folded(self.generic_visit(node))

    visit_UnaryOp = visit_BoolOp = visit_BinOp  # noqa: N815 (names of `ast`)

    def visit_Compare(self, node: ast.Compare) -> Any:
        """Compute the value, if the knobs decide it; also tests whether an array exists."""
        match node:
            case ast.Compare(
                ops=[ast.Is() | ast.IsNot() as test],
                comparators=[ast.Constant(value=None)],
            ):
                value = self.value(node.left)
                if value is not MISSING:
                    return ast.Constant((value is None) == isinstance(test, ast.Is))
        return self._folded(self.generic_visit(node))

    def _folded(self, node: Any) -> Any:
        """Return an expression with its value in its place, if it has only constants."""
        names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
        if any(each.id not in {"math", *PYTHON} - self.locals for each in names):
            return node
        value = eval(
            compile(ast.fix_missing_locations(ast.Expression(node)), "", "eval"),
            {"math": math},
        )
        return _literal(value) if _is_plain(value) else node


def _is_module(value: Any, module: Any) -> bool:
    """Return whether a value is this module, imported at once or late."""
    return isinstance(value, ModuleType) and value.__name__ == module.__name__


def _is_of_numpy(value: Any) -> bool:
    """Return whether a value is NumPy or one of its modules, or `math`, whose calls are
    translated later."""
    return value is math or (
        isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "numpy"
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int, str))


def _literal(value: Any) -> ast.expr:
    return _expression(repr(value))


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
