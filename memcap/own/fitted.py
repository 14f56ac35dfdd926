"""The net that `memcap fit` found, in NumPy: it predicts on sequences of any length, in
the user's own units."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit, softmax

from memcap import store
from memcap.config.member import member_of
from memcap.knobs import UserError
from memcap.models.export import export, lstm_weights
from memcap.models.model import Model
from memcap.own.table import Columns, Feature, LongForm, frame_of, padded, sequences_of
from memcap.own.task import Data
from memcap.store import files

NET = "net.npz"  # in the folder of a study, beside what net.json says of it
BATCH = 512  # sequences that run at once


@dataclass(frozen=True)
class FittedNet:
    """An LSTM with a dense read-out.

    Args:
        weights: float64 arrays as `memcap.models.export` takes them, for the user's
            units.
        symbols: whether inputs are symbols; otherwise numbers.
        every: whether it answers at every step; otherwise at the end.
        classes: names in the order of the outputs; empty: values.
        columns, features: of the table it was trained on; None and empty: of arrays.
    """

    weights: dict[str, Any]
    symbols: bool
    every: bool
    classes: Sequence[str]
    columns: Columns | None = None
    features: Sequence[Feature] = ()

    def arrays(self, layout: str) -> dict[str, np.ndarray]:
        """Return the weights for another library, see `memcap.models.export.export`."""
        model = Model(units=len(self.weights["cell"]["recurrent"]))
        return export(model, self.weights, layout)

    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return logits or values, (O,) at the end of each sequence, or (T, O).

        Args:
            sequences: each (T,) symbols or (T, F) numbers.

        Raises:
            UserError: a sequence is empty, has another F, or unknown symbols.
        """
        self._check(sequences)
        outputs: list[np.ndarray] = []
        for first in range(0, len(sequences), BATCH):
            batch = sequences[first : first + BATCH]
            for sequence, steps in zip(batch, self._run(batch), strict=True):
                steps = steps[: len(sequence)]
                outputs.append(steps if self.every else steps[-1])
        return outputs

    def sequences(self, frame: Any) -> list[np.ndarray]:
        """Return the sequences of a polars or pandas frame, in the order of their
        names."""
        assert self.columns is not None
        return sequences_of(frame_of(frame), self.columns, self.features)[0]

    def table(self, frame: pl.DataFrame, name: str) -> pl.DataFrame:
        """Return predictions for a table, called `name` in errors: a line per sequence
        or step; for classes with each probability."""
        assert self.columns is not None
        target = self.columns.target
        sequences, lines = sequences_of(frame, self.columns, self.features, name)
        outputs = self.outputs(sequences)
        if self.every:
            answers = np.concatenate(outputs)
        else:
            answers = np.array(outputs)
            lines = lines.select(self.columns.sequence).unique(maintain_order=True)
        if not self.classes:
            return lines.with_columns(pl.Series(target, answers[:, 0]))
        names = pl.Series(target, [self.classes[k] for k in answers.argmax(-1)])
        shares = pl.DataFrame(
            softmax(answers, -1), [f"p({name})" for name in self.classes]
        )
        return lines.with_columns(names).hstack(shares)

    def _check(self, sequences: Sequence[np.ndarray]) -> None:
        width = len(self.weights["cell"]["kernel"])  # a blank is the last symbol
        form = f"symbols from 0 to {width - 2}" if self.symbols else f"{width} numbers"
        for number, sequence in enumerate(sequences):
            shape = np.shape(sequence)
            fits = shape[1:] == (() if self.symbols else (width,))
            if self.symbols:
                fits = fits and np.isin(sequence, range(width - 1)).all()
            if not (fits and shape[0]):
                raise UserError(
                    f"sequence {number}, of shape {shape}, does not fit: the net takes steps of"
                    f" {form}"
                )

    def _run(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        cell = self.weights["cell"]
        kernel = cell["kernel"]
        readout = self.weights["readout"]
        c = h = np.zeros((len(sequences), len(cell["recurrent"])))
        outputs = []
        for step in np.moveaxis(padded(sequences), 1, 0):
            from_input = kernel[step.astype(int)] if self.symbols else step @ kernel
            gates = from_input + h @ cell["recurrent"] + cell["bias"]
            i, f, g, o = np.split(gates, 4, -1)
            c = expit(f) * c + expit(i) * np.tanh(g)
            h = expit(o) * np.tanh(c)
            outputs.append(h @ readout["kernel"] + readout["bias"])
        return np.stack(outputs, 1)

    def save(self, folder: Path) -> Path:
        """Write net.npz (weights in Keras's order) and net.json; return the path of the
        first."""
        path = folder / NET
        files.write_arrays(path, self.arrays("keras"))
        about = asdict(self)
        del about["weights"]
        files.replace(path.with_suffix(".json"), json.dumps(about, indent=1).encode())
        return path


def remove(folder: Path) -> None:
    path = folder / NET
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def load(folder: Path) -> FittedNet:
    """Load the net that `memcap fit` left in a folder.

    Raises:
        UserError: there is none.
    """
    path = folder / NET
    try:
        about = json.loads(path.with_suffix(".json").read_bytes())
        with np.load(path, allow_pickle=False) as arrays:
            weights = lstm_weights(dict(arrays))
    except OSError as error:
        why = "has no net.npz and net.json; name a folder of memcap fit"
        if (folder / "rows").is_dir():
            why = (
                "memcap fit left no net there: no width was enough, or it has not ended"
            )
        raise UserError(f"{folder}: {why}") from error
    about["features"] = [Feature(**feature) for feature in about["features"]]
    about["columns"] = about["columns"] and Columns(**about["columns"])
    return FittedNet(weights, **about)


def best_net(rows: pl.DataFrame, folder: Path, form: LongForm) -> FittedNet:
    row = rows.sort("validation_loss").row(0, named=True)
    task = member_of(store.config_of(row)).task
    assert isinstance(task, Data)
    weights = {
        part: {name: array.astype(np.float64) for name, array in arrays.items()}
        for part, arrays in store.sound_weights_of(folder, row).items()
    }
    file = task.file_content
    cell = weights["cell"]
    readout = weights["readout"]
    if file.symbols is None:
        mean, spread = file.input_scale
        cell["kernel"] /= spread[..., None]
        cell["bias"] -= (mean[..., None] * cell["kernel"]).sum(0)
    mean, spread = file.target_scale
    readout["kernel"] *= spread
    readout["bias"] = readout["bias"] * spread + mean
    every = file.due is not None and bool((file.due.sum(1) > 1).any())
    classes: list[str] = []
    if task.loss == "classes":
        with np.load(task.file) as arrays:
            names = arrays.get("class_names", np.arange(task.outputs))
        classes = names.astype(str).tolist()
    return FittedNet(
        weights, file.symbols is not None, every, classes, form.columns, form.features
    )
