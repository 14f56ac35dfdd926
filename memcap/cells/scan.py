"""Run a cell over time with exact gradients, in one of four ways that give the same numbers to float
rounding.

"loop"   a loop whose trip count is an operand: one compiled program serves every length, and short sequences
cost little. The
         gradient is written out, as JAX has none for such a loop. For CPUs, one member at a time.
"scan"   `lax.scan` over all T steps of the buffer, the gradient written out as well; a length masks the small
carry only, so that
         members of several lengths side by side each read and write their own step of a buffer. For GPUs and
         TPUs: with a trip count a member, `vmap` would select and copy every buffer, whole, at every step.
"native" "loop" as one call of C, where it serves the cell and the call (memcap/cells/native.py); elsewhere
"loop" itself. "plain"  `lax.scan` over the cell's own step, differentiated by JAX: memcap/cells/plain.py. To
read, and to test the others.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Carry = Any
Params = Any
How = Literal["loop", "scan", "native", "plain"]
Step = Callable[[Params, Carry, jax.Array], tuple[Carry, jax.Array]]


class Options(NamedTuple):
    """What is known of a scan when it is compiled.

    every: whether the output of every step is returned, or of the last one only.
    reset: whether the carry is set to zero where a window begins; otherwise only its gradient is cut there.
    static: "scan" instead of "loop".
    """

    every: bool
    reset: bool
    static: bool


def at(buffer: jax.Array, t: jax.Array) -> jax.Array:
    """Row t of a buffer whose first axis is time."""
    return lax.dynamic_index_in_dim(buffer, t, 0, keepdims=False)


def put(buffer: jax.Array, value: jax.Array, t: jax.Array) -> jax.Array:
    """The buffer with row t replaced."""
    return lax.dynamic_update_index_in_dim(buffer, value, t, 0)


def over_time(
    static: bool,
    body: Callable[[Any, jax.Array, Any, Any], tuple[Any, Any]],
    state: Any,
    xs: Any,
    ys: Any,
    length: jax.Array,
    back: bool,
) -> tuple[Any, Any]:
    """Run `body` over the first `length` rows of `xs`, forward in time or back.

    Args:
        static: over all T rows with a mask ("scan"), or over `length` rows ("loop").
        body: (state, t, on, rows of xs) -> (state, rows of ys); `on` says whether the step counts, and is
            True where no other is run.
        state: pytree of arrays without a time axis.
        xs: pytree of arrays (T, ...), T at least `length`.
        ys: pytree of zeros (T, ...): what comes out. After `length` it is zero, but where `static` what the
            body makes of a state that stands still: a body whose rows must be zero there says so by
                `counted`.
        length: () int.
        back: from step `length` - 1 down to 0.

    Returns:
        The state after the last step, and ys.
    """
    if static:

        def masked(state: Any, row: tuple[jax.Array, jax.Array, Any]) -> tuple[Any, Any]:
            t, on, x = row
            new, y = body(state, t, on, x)
            return where(on, new, state), y

        t = jnp.arange(jax.tree.leaves((xs, ys))[0].shape[0])
        return lax.scan(
            masked, state, (t, t < length, xs), reverse=back
        )  # compared in the step, it would be a kernel more

    def step(k: jax.Array, both: tuple[Any, Any]) -> tuple[Any, Any]:
        state, ys = both
        t = length - 1 - k if back else k
        state, y = body(state, t, True, jax.tree.map(lambda buffer: at(buffer, t), xs))
        return state, jax.tree.map(lambda buffer, row: put(buffer, row, t), ys, y)

    return lax.fori_loop(0, length, step, (state, ys))


def counted(on: Any, row: jax.Array) -> jax.Array:
    """The row of a step that counts, or zero; `on` is what `over_time` says of the step."""
    return row if on is True else jnp.where(on, row, jnp.zeros_like(row))


def where(on: jax.Array, new: Any, old: Any) -> Any:
    """The leaves of one pytree or of the other."""
    return jax.tree.map(lambda a, b: jnp.where(on, a, b), new, old)


def scaled(carry: Carry, factor: jax.Array) -> Carry:
    """The carry times a number, each leaf in its own dtype."""
    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), carry)


def _buffers(rows: Any, steps: int) -> Any:
    """Zeros with a time axis in front of each leaf."""
    return jax.tree.map(lambda row: jnp.zeros((steps, *row.shape), row.dtype), rows)


def _has_gradient(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _differentiable_of(like: Any, cotangents: Any) -> list[Any]:
    """Of a cotangent of `like`, those of its differentiable leaves: integers, such as a cell's own clock,
    have none."""
    return [
        d
        for d, leaf in zip(jax.tree.leaves(cotangents), jax.tree.leaves(like), strict=True)
        if _has_gradient(leaf)
    ]


def _cotangent(like: Any, leaves: list[Any]) -> Any:
    """A cotangent of `like` from those of its differentiable leaves; JAX wants float0 for the others."""
    given = iter(leaves)
    flat, tree = jax.tree.flatten(like)
    full = [next(given) if _has_gradient(leaf) else np.zeros(leaf.shape, jax.dtypes.float0) for leaf in flat]
    return jax.tree.unflatten(tree, full)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def cell_scan(
    step: Step,
    options: Options,
    params: Params,
    carry: Carry,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[Carry, jax.Array]:
    """Apply `step` to the first `length` rows of `inputs`.

    Args:
        step: (params, carry, (B, F) input) -> (carry, (B, U) output), pure.
        options: what is returned, what windows do, and the way over time.
        params: pytree of the cell's parameters.
        carry: pytree, the state before the first step.
        inputs: (T, B, F) floats.
        length: () int, how many of the T rows count; may be traced.
        flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry after `length` steps, and the outputs (T, B, U), zero after `length`, or the last one (B,
        U).
    """
    carry, outputs, _ = _forward(step, options, False, params, carry, inputs, length, flows)
    return carry, outputs


def _forward(
    step: Step,
    options: Options,
    keep: bool,
    params: Params,
    carry: Carry,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[Carry, jax.Array, Any]:
    """The carry after the last step, the outputs, and the carry that entered each step, (T, ...), if it is
    kept."""
    every = options.every
    steps = inputs.shape[0]
    _, output = jax.eval_shape(step, params, carry, inputs[0])
    last = jnp.zeros(output.shape, output.dtype)

    def body(state: Any, t: jax.Array, on: Any, row: Any) -> tuple[Any, Any]:
        carry, _ = state
        x, flow = row
        if options.reset and flow is not None:
            carry = scaled(carry, flow)
        entered = carry
        carry, output = step(params, carry, x)
        row = counted(on, output) if every else ()
        return (carry, () if every else output), (row, entered if keep else ())

    ys = _buffers((output if every else (), carry if keep else ()), steps)
    state = carry, () if every else last
    (carry, last), (outputs, kept) = over_time(
        options.static, body, state, (inputs, flows), ys, length, back=False
    )
    return carry, outputs if every else last, kept


def _cell_scan_fwd(
    step: Step,
    options: Options,
    params: Params,
    carry: Carry,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[tuple[Carry, jax.Array], Any]:
    carry, outputs, kept = _forward(step, options, True, params, carry, inputs, length, flows)
    return (carry, outputs), (params, kept, inputs, length, flows)


def _cell_scan_bwd(step: Step, options: Options, saved: Any, cotangents: Any) -> tuple[Any, ...]:
    """A reset carry and a cut carry have the same gradient into the past: none."""
    every = options.every
    params, kept, inputs, length, flows = saved
    d_last, d_outputs = cotangents
    rows = jax.tree.map(lambda buffer: jax.ShapeDtypeStruct(buffer.shape[1:], buffer.dtype), kept)
    d_carry = _differentiable_of(rows, d_last)

    def body(state: Any, t: jax.Array, on: Any, row: Any) -> tuple[Any, Any]:
        d_carry, d_params = state
        entered, x, flow, d_output = row
        if not every:  # only the last output was returned
            d_output = jnp.where(t == length - 1, d_outputs, jnp.zeros_like(d_outputs))
        _, pullback = jax.vjp(step, params, entered, x)
        d_param, d_entered, d_input = pullback((_cotangent(rows, d_carry), d_output))
        d_entered = _differentiable_of(rows, d_entered)
        if flow is not None:
            d_entered = scaled(d_entered, flow)
        added = jax.tree.map(jnp.add, d_params, _differentiable_of(params, d_param))
        return (d_entered, added), counted(on, d_input)

    state = d_carry, jax.tree.map(jnp.zeros_like, _differentiable_of(params, params))
    xs = kept, inputs, flows, d_outputs if every else ()
    (d_carry, d_params), d_inputs = over_time(
        options.static, body, state, xs, jnp.zeros_like(inputs), length, back=True
    )
    return _cotangent(params, d_params), _cotangent(rows, d_carry), d_inputs, None, None


cell_scan.defvjp(_cell_scan_fwd, _cell_scan_bwd)
