"""Watching a job that trains in the tests' own process: curves and rows, as they come
to its writer."""

import pytest

from memcap.studies import run
from memcap.studies.writer import POINTS_OF_A_CHUNK, StudyWriter


class Watcher:
    """Sees everything, and does nothing."""

    def curve(self, key, step, values):
        """A point of the curve of a member in training; of one that goes on, first all
        that it has."""

    def member(self, key, config, row):
        """A member that has ended."""


def run_watched(watcher, *arguments, **options):
    """`memcap.studies.run.run_study`, whose writer shows `watcher` all that comes."""

    class Watched(StudyWriter):
        def add_curve(self, chunk):
            key = chunk.member.key
            goes_on = key in self.running
            super().add_curve(chunk)
            points = (
                dict(chunk.points(POINTS_OF_A_CHUNK))
                if goes_on
                else dict(self.running[key])
            )
            for step, values in points.items():
                watcher.curve(key, step, values)

        def finish(self, population, results):
            super().finish(population, results)
            for result, row in zip(results, self.rows[-len(results) :], strict=True):
                watcher.member(result.member.key, result.member.config, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "StudyWriter", Watched)
        return run.run_study(*arguments, **options)
