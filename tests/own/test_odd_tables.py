"""Odd and broken tables: ten kinds, each in ten variants. A variant holds the same as
the table without its oddity, or is refused in one line that says what is odd."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from study_checks import refusal

import memcap
from memcap.own.table import Columns, read_table
from memcap.terminal.words import warn_once

COUNT = 20
STEPS = 4
LINES = COUNT * STEPS
rng = np.random.default_rng(0)
SEQUENCE = np.repeat(np.arange(COUNT), STEPS)
STEP = np.tile(np.arange(STEPS), COUNT)
LOAD = [f"{number:.2f}" for number in rng.uniform(1, 9, LINES)]
FAULT = np.array(["no", "yes"])[SEQUENCE % 2]
PLAIN = {
    "sequence": [f"m{k:02}" for k in SEQUENCE],
    "step": [str(k) for k in STEP],
    "load": LOAD,
    "sky": [("sun", "rain", "fog")[k] for k in rng.integers(0, 3, LINES)],
    "fault": FAULT.tolist(),
}
SAME = None


def text_of(separator=",", order=range(LINES), **columns):
    table = PLAIN | columns
    rows = [[*table], *([table[name][line] for name in table] for line in order)]
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def odd_load(change, **how):
    return text_of(**how, load=[change(number) for number in LOAD])


def with_cell(cell):
    return odd_load(lambda number: cell if number == LOAD[40] else number)


def with_times(write):
    start = datetime(2026, 11, 29, 8, 57)
    times = [write(start + timedelta(minutes=int(k))) for k in STEP]
    return text_of(step=times, order=np.random.default_rng(1).permutation(LINES))


def in_a_zone(time):
    east = time.minute % 2
    return f"{time + timedelta(hours=east):%FT%R}+0{east}:00"


TEXT = text_of()
QUOTED = text_of(sky=[f'"{name}"' for name in PLAIN["sky"]])
DECIMAL = odd_load(lambda number: number.replace(".", ","), separator=";")
COMMA = {"decimal_comma": True}
IS_TEXT = "`load` holds numbers, but '{}' in row {} (of a CSV file, line {}) is text"
NO_ORDER = "which has no order among the others"

FILES = {
    "separators": [
        (text_of(";"), {}, SAME),
        (text_of("\t"), {}, SAME),
        (text_of("|"), {}, SAME),
        (text_of(", "), {}, SAME),
        (text_of(" ; "), {}, SAME),
        (QUOTED, {}, SAME),
        (TEXT.replace("\n", "\r\n"), {}, SAME),
        ("\ufeff" + TEXT, {}, SAME),
        ('"sequence","step","load","sky","fault"' + TEXT[TEXT.index("\n") :], {}, SAME),
        (text_of("^"), {}, "it has sequence^step^load"),
    ],
    "decimals": [
        (DECIMAL, COMMA, SAME),
        (DECIMAL, {}, IS_TEXT.format(LOAD[0].replace(".", ","), 0, 2)),
        (DECIMAL.replace(";", "\t"), COMMA, SAME),
        (text_of(";"), COMMA, "`load` has 78 names, each an input"),
        (odd_load("+{}".format), {}, SAME),
        (odd_load("{}e0".format), {}, SAME),
        (
            odd_load("1,{}".format, separator=";"),
            {},
            IS_TEXT.format("1," + LOAD[0], 0, 2),
        ),
        (odd_load("1.{}".format), {}, IS_TEXT.format("1." + LOAD[0], 0, 2)),
        (odd_load("{} %".format), {}, IS_TEXT.format(LOAD[0] + " %", 0, 2)),
        (odd_load("\u2212{}".format), {}, IS_TEXT.format("\u2212" + LOAD[0], 0, 2)),
    ],
    "times": [
        (with_times("{:%Y-%m-%d %-H:%M}".format), {}, SAME),
        (with_times("{:%Y-%m-%d %-I:%M %p}".format), {}, SAME),
        (with_times("{:%-I:%M:%S %p}".format), {}, NO_ORDER),
        (with_times("{:%Y/%m/%d %H:%M:%S.%f}".format), {}, SAME),
        (with_times(in_a_zone), {}, SAME),
        (with_times("{:%Y-%m-%dT%H:%M:%SZ}".format), {}, SAME),
        (with_times(lambda t: f"{t:%F %R}{'Z' * (t.minute > 58)}"), {}, NO_ORDER),
        (with_times("{:%d.%m.%Y %H:%M}".format), {}, NO_ORDER),
        (with_times("{:%m/%d/%y %H:%M}".format), {}, NO_ORDER),
        (with_times("t{:%H%M}".format), {}, NO_ORDER),
    ],
    "orders": [
        (text_of(t=[f"2026-11-29 {8 + k}:00" for k in STEP]), {}, "`t` holds times"),
        (text_of(t=[f"2026-1-{1 + k}T00:00Z" for k in STEP]), {}, "`t` holds times"),
        (text_of(t=range(LINES)), {}, "`t` rises or falls"),
        (text_of(t=STEP + 5), {}, "`t` rises or falls"),
        (text_of(t=9 - STEP), {}, "`t` rises or falls"),
        (text_of(t=1_700_000_000 + 60 * SEQUENCE + STEP), {}, "`t` rises or falls"),
        (text_of(t=STEP * 0.25), {}, "`t` rises or falls"),
        (text_of(**{"": range(LINES)}), {}, "column 6 has no name (an index?"),
        (text_of(t=STEP + 5), {"drop": ("t",)}, SAME),
    ],
    "ids and labels": [
        (text_of(t=[f"P{k}" for k in SEQUENCE]), {}, "`t` looks like an id"),
        (text_of(t=SEQUENCE * 7 % 89), {}, "`t` looks like an id"),
        (text_of(t=np.arange(LINES) * 7 % 89), {}, "`t` looks like an id"),
        (text_of(t=[f"{k * 7 % 89:x}-f" for k in range(LINES)]), {}, "like an id"),
        (text_of(user_id=SEQUENCE * 7 % 13), {}, "`user_id` looks"),
        (text_of(t=[f"word {k % 41}" for k in range(LINES)]), {}, "has 41 names"),
        (text_of(t=SEQUENCE % 2 + 3), {}, "`t` alone says what `fault` is"),
        (text_of(t=FAULT == "yes"), {}, "`t` alone says what `fault` is"),
        (text_of(t=np.where(STEP == 3, FAULT, "-")), {}, "`t` alone says"),
        (text_of(t=SEQUENCE % 2 + 3), {"drop": ("t",)}, SAME),
    ],
    "stray cells": [
        (with_cell(cell), {}, IS_TEXT.format(cell, 40, 42))
        for cell in (
            "?",
            "-",
            "abc",
            "1.2.3",
            "1 5",
            "12 V",
            "none",
            "#N/A",
            "O.5",
            "1..5",
        )
    ],
    "bytes": [
        (TEXT.encode("utf-16"), {}, "is UTF-16; save it as UTF-8"),
        (b"PK\3\4" + TEXT.encode(), {}, "has no column `sequence`"),
        (TEXT.replace("sun", "s\xfcn").encode("latin-1"), {}, "; save it as UTF-8"),
    ],
    "shapes": [
        (
            "y," + ",".join(f"x{k}" for k in range(9)) + "\n",
            {},
            "memcap docs sequences",
        ),
        (text_of(order=range(0, LINES, STEPS)), {}, "has one line a sequence"),
        (TEXT.replace("sky", "load"), {}, "has two columns of one name"),
        (TEXT + "m20,0,1.5\n", {}, "sequence m20 has no `fault` at any step"),
        (TEXT + "m19,4,1.5,sun,no,7\n", {}, "cannot be read as CSV ("),
        (TEXT + "m19,3,1.5,sun,no\n", {}, "more than once"),
        (TEXT + "\n,,,,\n", {}, "`sequence` (--sequence) is missing in"),
        (TEXT[: TEXT.index("\n")] + "\n", {}, "has no lines"),
        ("", {}, "cannot be read as CSV ("),
        (
            "# a note\n" + TEXT,
            {},
            "begins with #; take out comments, and name columns without #",
        ),
    ],
    "large numbers": [
        (odd_load(lambda x: f"{1e18 * float(x)}"), {}, "too large for float32")
    ],
}
CASES = [(kind, *case) for kind, cases in FILES.items() for case in cases]


def form_of(tmp_path, content, decimal_comma=False, **columns):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, Columns("fault", **columns), decimal_comma)


@pytest.mark.parametrize(("kind", "content", "how", "said"), CASES)
def test_an_odd_table_is_read_right_or_refused(tmp_path, kind, content, how, said):
    if said is not SAME:
        assert said in refusal(lambda: form_of(tmp_path, content, **how))
        return
    found = form_of(tmp_path, content, **how).arrays
    for name, array in form_of(tmp_path, TEXT).arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("ids", "count"),
    [
        (["10", "010", "0010"], 3),
        (["1e2", "100", "100.0"], 3),
        (["7", "+7", "-7"], 3),
        (["9" * 20, "9" * 20 + "1", "9" * 19 + "8"], 3),
        (["0x10", "16", "1_6"], 3),
        (["true", "True", "1"], 3),
        (["m1", "M1", "m1 "], 2),
        (["2026-01-02", "2026-1-2", "2026/01/02"], 3),
        (["1,5", "1.5", "1,50"], 3),
        (["inf", "Infinity", "1e999"], 3),
    ],
)
def test_ids_are_text(tmp_path, ids, count):
    texts = [*ids, *range(200, 217)]
    text = text_of(";", sequence=[texts[k] for k in SEQUENCE], step=range(LINES))
    assert len(form_of(tmp_path, text).arrays["inputs"]) == COUNT - 3 + count


NUMBERS = rng.normal(size=(COUNT, STEPS, 2))
LABELS = np.arange(COUNT) % 2
VALUES = "targets are {}, so they count as values; as classes: targets."
WHOLE = VALUES.format("whole numbers as floats")


@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (NUMBERS, LABELS * 1.0, WHOLE),
        (NUMBERS, LABELS * 2.0 - 1, WHOLE),
        (NUMBERS, np.tile(LABELS[:, None] * 1.0, STEPS), WHOLE),
        (NUMBERS, np.eye(2)[LABELS], VALUES.format("one-hot numbers")),
        (NUMBERS, np.eye(2, dtype=int)[LABELS], "of one-hot labels write"),
        (NUMBERS, LABELS * 2 - 1, "must be classes from 0"),
        (NUMBERS, FAULT[::STEPS], "`targets` must hold numbers"),
        (NUMBERS[:5], LABELS[:5], "too few sequences or groups"),
    ],
)
def test_what_arrays_are_taken_for_is_said_or_refused(
    tmp_path, capsys, inputs, targets, said
):
    def make():
        memcap.data(inputs, targets, tmp_path / "data.npz")

    if not said.startswith("targets"):
        assert said in refusal(make)
        return
    warn_once.cache_clear()
    make()
    err = capsys.readouterr().err
    assert "memcap: data: 20 sequences of 4 steps.\n" in err
    assert said in err
