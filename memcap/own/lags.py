"""How far back it matters: nets of the width that is enough, which see fewer steps."""

import polars as pl

from memcap import store
from memcap.config.member import Member, member_of
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.search import WidthSearch
from memcap.own.words import loss_text


def sentences(search: WidthSearch, curve: LossCurve) -> list[str]:
    """Train nets of the width that is enough on the last 2, 3, 5, 9 ... steps; say up to
    which older ones lower the loss, beyond chance.

    Args:
        search: by which the curve was made.
        curve: the losses of the widths on all steps.
    """
    (width,) = (width for width in curve.widths if width.units == curve.units)
    rows = store.read(search.folder).filter(units=width.units, lag=curve.lag)
    chosen = rows.filter(pl.col("key").is_in(width.keys))
    rows = rows.join(chosen, ["recipe", "lr"], "semi")  # not all recipes of the race
    nets = [member_of(store.config_of(row)) for row in rows.to_dicts()]
    members = [
        Member(net.task, lag, model=net.model, recipe=net.recipe, seed=net.seed)
        for lag in {*(2**k for k in range(curve.lag.bit_length())), curve.lag}
        for net in nets
    ]
    curves = loss_curves(search.train(members))
    losses = {each.lag: each.widths[0] for each in curves} | {curve.lag: width}
    lags = sorted(losses)
    best = width.on_validation
    back = next(lag for lag in lags if not best.beats(losses[lag].on_validation))
    words = ", ".join(f"{lag + 1}: {loss_text(losses[lag])}" for lag in lags)
    return [
        f"Loss of {width.units} units by the steps that they see: {words}.",
        f"Steps older than the last {back + 1} lower it no further, beyond chance.",
    ]
