"""How well nets find rare classes of a user's own sequences. Accuracy hides this: a net
that never names a rare class is still right on all others."""

from collections.abc import Iterable

import numpy as np

from memcap.own.losses import LossCurve
from memcap.own.task import Data
from memcap.trained import Trained

RARE = 0.1  # share of the answers


def shares_of(task: Data) -> np.ndarray:
    """Return the share of each class among the answers of a file, (C,)."""
    file = task.file_content
    answers = file.targets if file.due is None else file.targets[file.due]
    return np.bincount(answers.ravel(), minlength=task.outputs) / answers.size


def has_rare_class(task: Data) -> bool:
    """Tell whether a class has less than a tenth of the answers."""
    return task.loss == "classes" and any(0 < share < RARE for share in shares_of(task))


def recalls(nets: Iterable[Trained]) -> np.ndarray:
    """Return the share of each class's held-out answers that nets of the same file get
    right, (C,); NaN for a class without answers."""
    right = np.zeros(())
    count = np.zeros(())
    for net in nets:
        task = net.member.task
        assert isinstance(task, Data)
        file = task.file_content
        tests = task.parts[2]
        guesses = net.run(np.moveaxis(file.inputs[tests], 0, 1))[0].argmax(-1).T
        answers = file.targets[tests].reshape(len(tests), -1)
        due = (slice(None), slice(-1, None)) if file.due is None else file.due[tests]
        guesses = guesses[due].ravel()
        answers = (answers if file.due is None else answers[due]).ravel()
        right = right + np.bincount(answers[answers == guesses], minlength=task.outputs)
        count = count + np.bincount(answers, minlength=task.outputs)
    return np.divide(right, count, out=np.full_like(right, np.nan), where=count > 0)


def rare_words(curve: LossCurve, nets: Iterable[Trained]) -> str:
    """Say how well the width that is enough finds each class, compared with always answering the
    commonest."""
    with np.load(curve.task.file) as arrays:
        names = (
            arrays["class_names"]
            if "class_names" in arrays
            else np.arange(curve.task.outputs)
        )
    shares = shares_of(curve.task)
    each = recalls(nets)
    there = shares > 0  # class numbers may have gaps
    rarest = np.argmin(np.where(there, shares, 1))
    most = np.argmax(shares)
    least = int(np.nanargmin(each))
    return (
        f"{names[rarest]} is only {shares[rarest]:.1%} of the answers. Balanced accuracy of"
        f" {curve.units}: {np.nanmean(each):.3f}, the mean of each class's share that is found;"
        f" the least, of {names[least]}, is {each[least]:.3f}. Who always says {names[most]}:"
        f" accuracy {shares[most]:.3f}, balanced {1 / there.sum():.3f}."
    )
