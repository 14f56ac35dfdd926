"""`memcap report`: one page that holds what the rows say, fetches nothing, and works in
a browser."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from command import memcap
from study_rows import group, table

from memcap import store
from memcap.frontiers.frontier import frontier
from memcap.report import html
from memcap.store import curves, files

COUNTS = {1: (0, 8), 2: (4, 8), 3: (8, 8)}
SAID = "fetch|XMLHttpRequest|WebSocket|import\\s*\\(|@import|url\\(|src=|href="


@pytest.fixture
def study(tmp_path):
    """A study with two tasks, a curve for one member, and a name that would be markup."""
    groups = [
        group("delay_line", lag, {u + lag - 2: n for u, n in COUNTS.items()})
        for lag in (2, 3)
    ]
    rows = table(
        *groups, group("latch", 5, {1: (8, 8), 2: (8, 8)}, recipe="<b>&</script>")
    )
    folder = tmp_path / "outputs" / "one & <two>"
    (folder / "rows").mkdir(parents=True)
    files.write_table(folder / "rows" / "a.parquet", rows)
    points = {k: {"train/loss": 1.0 / k, "train/accuracy": 0.5} for k in range(1, 2001)}
    points[2000]["eval/accuracy"] = 0.75
    curves.write(folder, "a", {rows["key"][0]: points})
    return folder


def data_of(text):
    (script,) = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL
    )
    return json.loads(script)


def test_the_page_holds_the_frontier_the_members_and_their_curves(study):
    done = memcap(study.parents[1], "report", study)
    assert done.status == 0, done.err
    assert done.out.strip() == str(study / "report.html")
    text = (study / "report.html").read_text()
    rows = store.read(study)
    data = data_of(text)
    assert [(p["label"], p["lag"], p["u90"]) for p in data["points"]] == [
        (p.label, p.lag, float(f"{p.fit.u90.units:.4g}")) for p in frontier(rows)
    ]
    assert {row[0] for row in data["members"]} == set(rows["key"])
    (curve,) = data["curves"].values()
    assert curve[0][:2] == [1, 1.0]
    assert curve[-1] == [2000, 0.0005, 0.75]


def test_it_fetches_nothing_and_takes_no_name_for_markup(study):
    text = html.page(store.read(study), curves.read(study), "one & <two>")
    assert not re.search(SAID, text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<title>one &amp; &lt;two&gt;</title>" in text
    assert text.count("</script>") == 2


def test_of_one_lag_it_draws_the_share_that_passed_against_the_width():
    eight = group("latch", 5, {3: (4, 8)}, knobs={"symbols": 8})
    rows = table(group("latch", 5, {1: (2, 8), 2: (8, 8)}), eight)
    data = data_of(html.page(rows, curves.read(Path("nowhere")), "one"))
    series, other = data["widths"]["series"]
    assert [point[:2] for point in series["line"]] == [[1, 0.25], [2, 1.0]]
    assert [dot[0] for dot in series["dots"]] == 8 * [1] + 8 * [2]
    assert [dot[0] for dot in other["dots"]] == 8 * [3]
    # by Wilson's formula, as tables of it print
    assert series["bars"] == [[1, 0.07148, 0.5907], [2, 0.6756, 1.0]]
    assert len(data["points"]) == 2


@pytest.mark.breadth
def test_a_large_study_is_below_a_megabyte_and_says_what_it_leaves_out():
    counts = dict.fromkeys(range(1, 17), (8, 8))
    rows = table(*(group("latch", lag, counts) for lag in range(1, 41)))
    keys = rows.sort("lag", "units", "seed").select("key").head(2000)
    steps = pl.DataFrame(
        {"step": range(100, 1100, 100)}, {"step": curves.SCHEMA["step"]}
    )
    lines = keys.join(steps, how="cross").with_columns(
        train_loss=0.123456, held_out=0.5
    )
    table_of_curves = pl.concat(
        [pl.DataFrame(schema=curves.SCHEMA), lines], how="diagonal"
    )
    text = html.page(rows, table_of_curves, "large")
    assert rows.height == 5120
    assert len(text.encode()) < 1_000_000
    assert "2,000 of 5,120." in text
    assert len(data_of(text)["curves"]) == 2000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_a_click_shows_a_curve_and_a_head_sorts(study, scheme):
    driver = pytest.importorskip("playwright.sync_api", reason="needs memcap[browser]")
    rows = store.read(study)
    made = study / "report.html"
    made.write_text(html.page(rows, curves.read(study), "study"))
    with driver.sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page(color_scheme=scheme)
        errors = []
        tab.on(
            "console",
            lambda message: (
                errors.append(message.text) if message.type == "error" else None
            ),
        )
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(made.as_uri())
        assert tab.locator("#frontier .mark").count() == len(frontier(rows))
        ticks = tab.locator("#frontier text[text-anchor=end]").all_inner_texts()
        assert ticks == ["1", "2", "4", "8"]
        tab.hover("#frontier .mark >> nth=0")
        assert tab.inner_text("#tip").startswith("delay_line, lag 2\nu90 ")
        assert tab.locator("#members tbody tr").count() == rows.height
        tab.click(f"#members tbody tr:has-text('{rows['key'][0]}')")
        assert tab.locator("#curve polyline.loss").count() == 1
        assert tab.locator("#curve .held-out").count() == 1
        tab.click("#members th button:text-is('units')")
        units = tab.locator("#members tbody tr td:nth-child(5)")
        rising = list(map(str, sorted(rows["units"])))
        assert units.all_inner_texts() == rising
        tab.click("#members th button:text-is('units')")
        assert tab.locator("#members th[aria-sort=descending]").inner_text() == "units"
        assert units.all_inner_texts() == rising[::-1]
        assert errors == []
        browser.close()
