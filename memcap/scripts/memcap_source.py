"""Source for a script that draws a task's sequences by memcap, if NumPy alone cannot."""

from dataclasses import fields

from memcap.scripts.numpy_source import draws_unseen
from memcap.tasks import Task

DRAW = '''\
_{name} = jax.jit(TASK.{name}, static_argnums=(3, 4))


def {name}(rng, lag, length, steps, batch):
    """Sequences of the task, drawn by memcap."""
    key = jax.random.key(int(rng.integers(2**31)))
    return [np.asarray(each) for each in _{name}(key, lag, length, steps, batch) if each is not None]'''  # noqa: E501

LENGTH = '''\
def length_of(lag):
    """Time steps of a sequence."""
    return TASK.length(lag)'''


def memcap_source(task: Task, with_length: bool = True) -> str:
    """Return the source of the functions of `numpy_source`, drawing by memcap and JAX,
    of a task that another process can import."""
    knobs = ", ".join(
        f"{each.name}={getattr(task, each.name)!r}" for each in fields(task)
    )
    parts = [f"TASK = memcap.tasks.task_class({task.name!r})({knobs})"]
    parts += [
        DRAW.format(name=name) for name in ("sample", *["unseen"] * draws_unseen(task))
    ]
    return "\n\n\n".join(parts + [LENGTH] * with_length)
