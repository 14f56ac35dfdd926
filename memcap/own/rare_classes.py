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
    counts = []
    for net in nets:
        task = net.member.task
        assert isinstance(task, Data)
        file = task.file_content
        tests = task.parts[2]
        guesses = net.run(np.moveaxis(file.inputs[tests], 0, 1))[0].argmax(-1).T
        answers = file.targets[tests]
        if file.due is None:
            guesses = guesses[:, -1]
        else:
            guesses = guesses[file.due[tests]]
            answers = answers[file.due[tests]]
        right = answers[answers == guesses]
        counts.append(
            [np.bincount(x, minlength=task.outputs) for x in (right, answers)]
        )
    right, count = np.sum(counts, axis=0)
    return np.where(count > 0, right / np.maximum(count, 1), np.nan)


def rare_words(curve: LossCurve, nets: Iterable[Trained]) -> str:
    """Say how well the width that is enough finds each class, compared with always answering the
    commonest."""
    with np.load(curve.task.file) as arrays:
        names = arrays.get("class_names", np.arange(curve.task.outputs))
    shares = shares_of(curve.task)
    present = shares > 0  # class numbers may have gaps
    rarest = np.argmin(np.where(present, shares, 1))
    commonest = np.argmax(shares)
    recall = recalls(nets)
    least = int(np.nanargmin(recall))
    return (
        f"{names[rarest]} is only {shares[rarest]:.1%} of the answers. Balanced accuracy of"
        f" {curve.units}: {np.nanmean(recall):.3f}, the mean of each class's share that is found;"
        f" the least, of {names[least]}, is {recall[least]:.3f}. Who always says"
        f" {names[commonest]}: accuracy {shares[commonest]:.3f}, balanced"
        f" {1 / present.sum():.3f}."
    )
