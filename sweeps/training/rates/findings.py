"""Does one learning rate serve nets of 1 to 64 units?"""

import polars as pl

from memcap.findings.tables import counts, filled, passed, table

FRESH_SEEDS = 8400  # of sweeps/training/rates.yaml: these and later ones chose no rate


def rates() -> str:
    """Count the nets that passed by `uniform` at each rate, of the narrowest of each task
    and of all wider ones."""
    nets = counts("rates", "seed", "lag", "what", "units", "lr", recipe="uniform")
    narrow = pl.col("units") == pl.col("units").min().over("lag", "what")
    nets = nets.filter(pl.col("seed") < FRESH_SEEDS).with_columns(
        which=pl.when(narrow).then(pl.lit("narrowest")).otherwise(pl.lit("wider"))
    )
    rates = sorted(nets["lr"].unique())
    lines = []
    for place, own in nets.sort("lag", "which").group_by(
        "lag", "which", maintain_order=True
    ):
        lines.append((*place, *(passed(own.filter(lr=rate)) for rate in rates)))
    return table(("lag", "of each task", *(f"{rate:g}" for rate in rates)), lines)


def parity_by_lags() -> str:
    """Parity, one lag or all."""
    nets = {"what": "parity", "lag": 50, "units": 16}
    alone, every = (
        passed(counts("rates", "lr", recipe=recipe, **nets))
        for recipe in ("curriculum_from_one", "uniform")
    )
    fresh = counts("up_to_fresh_seeds", "units", what="parity", lag=50)
    return filled(
        "LSTMs of 16 units learn parity over 50 steps. Of those that train at one lag, which"
        f" rises, {alone} pass; of those that train on all lags up to it, {every} (over all"
        f" rates; `memcap figure seeds sweeps/training/rates`). On fresh seeds, {passed(fresh)}"
        f" nets of {fresh['units'][0]} units that train on all lags pass (`memcap frontier"
        " sweeps/answers/up_to_fresh_seeds`)."
    )


TABLES = {"rates": rates, "parity by lags": parity_by_lags}
