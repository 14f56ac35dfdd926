"""A cache of fits to counts, in memcap's cache folder.

A fit is a pure function of its counts, and takes milliseconds of sums over a grid;
`memcap frontier atlas` has hundreds of them. The file's name is a digest of the source
of the fit, so a fit of another version is never read.
"""

import contextlib
import functools
import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from memcap.runtime import cache
from memcap.thresholds import curve, falls, logistic
from memcap.thresholds.curve import Fall, Fit, Threshold, counts, fit_of, posterior
from memcap.thresholds.falls import before, find_fall

MOST = 4096  # fits that a file holds


class Memo:
    """Fits by counts; made by `memo`. `fits` are the fields of each fit, by its counts as JSON."""

    def __init__(self, fits: dict[str, list[Any]]):
        self.fits = fits
        self.grown = False
        self.used: dict[str, list[Any]] = {}

    def fit(
        self,
        units: Sequence[int],
        solved: Sequence[int],
        runs: Sequence[int],
        confidence: float,
    ) -> Fit:
        """Fit as `memcap.thresholds.curve.fit_of` does; if counts fall, to the widths
        before the fall."""
        key = json.dumps([list(units), list(solved), list(runs), confidence])
        if key not in self.fits:
            data = counts(units, solved, runs)
            fall = find_fall(data)
            rise = before(data, fall)
            fit = replace(
                fit_of(posterior(rise.widths, rise.solved, rise.runs), confidence),
                fall=fall,
            )
            self.fits[key], self.grown = list(astuple(fit)), True
        self.used[key] = self.fits[key]
        u_exist, bracket, u50, u90, *rest, fall = self.fits[key]
        found = None if fall is None else Fall(*fall)
        return Fit(
            u_exist, tuple(bracket), Threshold(*u50), Threshold(*u90), *rest, found
        )


@contextlib.contextmanager
def memo() -> Generator[Memo]:
    """Read the fits of earlier commands, and add new ones at the end, if the cache
    folder can be written."""
    path = cache.folder() / "fits" / f"{_version()}.json"
    digest = ""
    text = ""
    with contextlib.suppress(OSError, ValueError):  # it does not exist, or is no text
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
    ours = Memo(json.loads(text) if digest == _digest(text) else {})
    yield ours
    if ours.grown:
        text = json.dumps(ours.fits if len(ours.fits) <= MOST else ours.used)
        cache.write(path, f"{_digest(text)}\n{text}".encode())


@functools.cache
def _version() -> str:
    """Compute a digest of everything but the counts that a fit depends on."""
    sources = [
        Path(str(module.__file__)).read_text(encoding="utf-8")
        for module in (curve, falls, logistic)
    ]
    return _digest("".join([np.__version__, *sources]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
