"""Gates and states over time, for one sequence: a picture to look at."""

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import expit

from memcap.cells import cell_class
from memcap.models.model import cell_names
from memcap.probes import Probed, fresh_batch, titled, trace, vectors
from memcap.trained import Trained

MOST_STEPS = 200
GATES = {"input": "input gate i", "forget": "forget gate f", "output": "output gate o"}


def probe(net: Trained) -> Probed:
    maps = quantities(net)
    inputs = vectors(net, fresh_batch(net, 1).inputs)[:MOST_STEPS, 0].astype(np.float64)
    data = pl.concat(
        _rows(name, values) for name, values in {"input": inputs, **maps}.items()
    )
    table = data.filter(pl.col("what") != "input")
    value = pl.col("value")
    near_an_end = ((value < 0.1) | (value > 0.9)).mean()
    is_a_gate = pl.col("what").first().str.split(",").list.first().is_in(GATES.values())
    table = table.group_by("what", maintain_order=True).agg(
        least=value.min(),
        median=value.median(),
        most=value.max(),
        near_an_end=pl.when(is_a_gate).then(near_an_end),
    )
    note = "near_an_end: share of a gate's values below 0.1 or above 0.9."
    if len(maps) == 1:
        cell = net.member.model.cell
        note = f"gates: only an LSTM's are known here; of {cell} the hidden state alone is drawn."
    return Probed(_plot(net, inputs, maps), data, table, (note,))


def quantities(net: Trained) -> dict[str, np.ndarray]:
    """Return gates in [0, 1], candidate, c and h of each LSTM layer on the first fresh
    sequence, (T, U) each; of other cells h of the last layer."""
    batch = fresh_batch(net, 1)
    run = trace(net, batch)
    member = net.member
    cls = cell_class(member.model.cell)
    gates = cls.gates
    if not cls.is_lstm or gates is None:
        return {"hidden state h": run.hidden[:MOST_STEPS, 0]}
    first, carries = (
        net.network.by_layer(each[0] if member.model.readout == "lstm" else each)
        for each in (net.initialize_carry(1), run.carries)
    )
    by_label = {}
    inputs = vectors(net, batch.inputs)
    names = cell_names(member.model)
    for layer, (name, (_, h_first), (cell, h)) in enumerate(
        zip(names, first, carries, strict=True), 1
    ):
        before = np.concatenate([np.asarray(h_first)[None], h[:-1]])
        if member.task.reset_carry and batch.window_starts is not None:
            before[np.asarray(batch.window_starts)] = 0
        kernel, recurrent, bias = (
            np.asarray(array, np.float64) for array in cls.arrays(net.weights[name])
        )
        products = (inputs @ kernel + before @ recurrent + bias)[:MOST_STEPS, 0]
        parts = np.split(products, len(gates.roles), -1)
        by_role = dict(zip(gates.roles, parts, strict=True))
        maps = {label: expit(by_role[role]) for role, label in GATES.items()}
        maps["candidate g"] = np.tanh(by_role["candidate"])
        maps |= {"cell c": cell[:MOST_STEPS, 0], "hidden state h": h[:MOST_STEPS, 0]}
        end = "" if member.model.layers == 1 else f", layer {layer}"
        by_label |= {f"{label}{end}": values for label, values in maps.items()}
        inputs = h
    return by_label


def _rows(name: str, values: np.ndarray) -> pl.DataFrame:
    step, unit = np.divmod(np.arange(values.size), values.shape[1])
    numbers = values.ravel().astype(np.float64)
    return pl.DataFrame({"what": name, "step": step, "unit": unit, "value": numbers})


def _plot(net: Trained, inputs: np.ndarray, maps: dict[str, np.ndarray]) -> Figure:
    rows = {"input": inputs, **maps}
    heights = [float(np.clip(0.12 * part.shape[1], 0.5, 2.0)) for part in rows.values()]
    height = 1.2 + sum(heights) + 0.25 * len(heights)
    figure = Figure(figsize=(9.6, height), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, height_ratios=heights)
    one_hot = net.member.task.vocabulary is not None
    for axes, (name, values) in zip(panels, rows.items(), strict=True):
        most = float(np.abs(values).max()) or 1.0
        look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
        is_gate = name.partition(",")[0] in GATES.values()  # from 0 to 1
        if is_gate or (name == "input" and one_hot):
            look = {"cmap": "Greys", "vmin": 0, "vmax": 1}
        image = axes.imshow(values.T, aspect="auto", interpolation="nearest", **look)
        figure.colorbar(image, ax=axes, pad=0.01, aspect=8)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axes.set_yticks([])
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    caption = "A row is a unit; of the input, a symbol or a number. One fresh sequence"
    if net.member.length > MOST_STEPS:
        caption += f", its first {MOST_STEPS} steps"
    return titled(figure, net, "Gates and states over time", f"{caption}.")
