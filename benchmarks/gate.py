"""Before anything is timed: does everyone compute the same? The same loss, gradients
and training, from the same weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.peers.base import Batches, Weights
from benchmarks.worker import Worker

# most relative difference of a loss or a gradient, float64 and float32
DOUBLE = 1e-12
SINGLE = 5e-6
# Most difference of the trained weights, relative to the way that they went. Keras adds
# Adam's epsilon before the second moment's bias is corrected, which shows in weights
# whose gradient is as small as epsilon.
TRAINED = 5e-2


class GateError(SystemExit):
    """A contestant does not compute what the others do: the benchmark ends with this line."""


def distance(found: Any, reference: Any) -> float:
    """||found - reference|| / ||reference||, in float64."""
    found = np.asarray(found, np.float64)
    reference = np.asarray(reference, np.float64)
    if found.shape != reference.shape:
        return np.inf
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))


def differences(
    found: tuple[float, Weights], reference: tuple[float, Weights]
) -> dict[str, float]:
    """Return the relative difference of the loss and of each gradient, by name."""
    apart = {"loss": distance(found[0], reference[0])}
    for part, arrays in reference[1].items():
        for name, array in arrays.items():
            apart[f"gradient of {part}/{name}"] = distance(found[1][part][name], array)
    return apart


def agree(
    title: str,
    found: tuple[float, Weights],
    reference: tuple[float, Weights],
    limit: float,
) -> float:
    """Return the largest difference of loss and gradients.

    Raises:
        GateError: it is above the limit.
    """
    apart = differences(found, reference)
    name = max(apart, key=lambda key: np.nan_to_num(apart[key], nan=np.inf))
    if not apart[name] <= limit:
        far = f"{apart[name]:.1e} from the reference, more than {limit:.0e}"
        raise GateError(f"{title}: {name} is {far}; nothing was timed")
    return apart[name]


def double(weights: Weights) -> Weights:
    """Return the weights in float64."""
    return {
        part: {name: array.astype(np.float64) for name, array in arrays.items()}
        for part, arrays in weights.items()
    }


def flat(weights: Weights) -> np.ndarray:
    """Return one vector, in an order that does not depend on who made the dicts."""
    return np.concatenate(
        [
            weights[part][name].ravel()
            for part in sorted(weights)
            for name in sorted(weights[part])
        ]
    )


def joined(found: tuple[float, Weights]) -> tuple[float, Weights]:
    """Return a loss, and its gradients as one vector."""
    return found[0], {"all": {"weights": flat(found[1])}}


def check_gradients(
    workers: Mapping[str, Worker],
    reference: Worker,
    weights: Weights,
    batch: Batches,
    whole: bool = False,
) -> dict[str, float]:
    """Return each contestant's largest difference, in float32, from the reference in
    float64; "float64": of PyTorch, if it is there.

    Args:
        workers: contestants, built, by the names that stand in errors.
        reference: one in a process with 64-bit floats.
        weights: to compute at, float32.
        batch: at least one batch.
        whole: compare float32 gradients as one vector. That of a single number, such as
            a gate's bias, is a sum in which much may cancel; float64, and the training
            that follows, tell them apart.

    Raises:
        GateError: someone computes something else.
    """
    batch = batch.first()
    reference.call("set_weights", double(weights))
    exact = reference.call("loss_and_gradients", batch)
    apart = {}
    if "torch" in workers:
        workers["torch"].call("set_weights", double(weights))
        theirs = workers["torch"].call("loss_and_gradients", batch)
        apart["float64"] = agree("the reference in float64", exact, theirs, DOUBLE)
    for name, worker in workers.items():
        worker.call("set_weights", weights)
        pair = [worker.call("loss_and_gradients", batch), exact]
        apart[name] = agree(name, *(map(joined, pair) if whole else pair), SINGLE)
    return apart


def check_training(
    workers: Mapping[str, Worker], start: Weights, steps: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Train everyone a few steps from the same start: the same optimizer, rate and clip
    end at the same weights.

    Returns:
        The difference of each from memcap's weights, relative to the way that they
        went; and the seconds of this first run, in which compilers work.

    Raises:
        GateError: someone ends elsewhere.
    """
    ends = {}
    seconds = {}
    for name, worker in workers.items():
        worker.call("set_weights", start)
        seconds[name] = worker.timed("run", steps).wall
        ends[name] = flat(worker.call("weights"))
    way = np.linalg.norm(ends["memcap"] - flat(start))
    apart = {
        name: float(np.linalg.norm(end - ends["memcap"]) / way)
        for name, end in ends.items()
    }
    for name, gap in apart.items():
        if not gap <= TRAINED:
            far = f"{gap:.1e} of the way from memcap's, more than {TRAINED:.0e}"
            raise GateError(f"{name}: after {steps} steps its weights are {far}")
    return apart, seconds
