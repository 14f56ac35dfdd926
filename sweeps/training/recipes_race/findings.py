"""design=race on tasks that are measured: does a race of four recipes find one that is
as good, and what does it cost?"""

from memcap.findings.tables import filled, points_of, rows_of, table, width

# training steps of a race and its search, over those of the search
MOST_OF_A_RACE = 1.5
LONGEST = 50  # the lag whose marks are listed


def races() -> str:
    """What a race of recipes finds where nothing is recommended, next to what is
    published, and what it costs next to the search alone: at the longest lag, and in
    words at all."""
    rows = rows_of("recipes_race")
    published = {
        (p.label, p.lag): p.fit.u90
        for study in ("atlas", "other_tasks")
        for p in points_of(study)
    }
    lines = []
    as_good = []
    ratios = []
    searches = 0
    for p in points_of("recipes_race"):
        nets = rows.filter(task=p.task.name, lag=p.lag)
        search = nets.filter(recipe=p.recipe.name, budget=p.recipe.budget)[
            "steps"
        ].sum()
        searches += search
        ratios.append(nets["steps"].sum() / search)
        u90 = p.fit.u90
        known = published.get((p.label, p.lag))
        if known:
            as_good.append(u90.censored != "above" and u90.units <= known.high)
        widths = width(u90), width(known) if known else "not measured"
        net = p.label, p.lag, f"`{p.recipe.name}`"
        if p.lag == LONGEST:
            lines.append((*net, *widths, nets.height, f"{ratios[-1]:.2f}"))
    first = "task", "lag", "recipe that won", "u90", "u90 published", "nets"
    heads = (*first, "steps over the search's")
    cheap = sum(ratio <= MOST_OF_A_RACE for ratio in ratios)
    text = filled(
        f"u90 lies in the published interval or below it at {sum(as_good)} of {len(as_good)}"
        f" marks. Races and the searches after them took {rows['steps'].sum() / searches:.2f}"
        f" times the training steps of the searches alone, and at most {MOST_OF_A_RACE:g} times"
        f" at {cheap} of {len(ratios)} marks."
    )
    return f"{table(heads, lines)}\n\n{text}"


TABLES = {"races": races}
