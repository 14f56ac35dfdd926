"""A member that failed has a row that says why; it measures nothing, and the next run
trains it again."""

from study_checks import ONE_LANE, small_job

from memcap import store
from memcap.designs.axes import members
from memcap.report.tables import totals
from memcap.store.rows import without_failed
from memcap.store.study import Study
from memcap.studies import run
from memcap.studies.run import run_study
from memcap.training.engine import Result, train
from memcap.training.program import Program


def test_a_failed_member_is_recorded_and_trained_again(tmp_path, monkeypatch):
    first, second = members(small_job({"seed": 2}))
    asked = []

    def fails(missing, engine, listener, *rest):
        asked.append(list(missing))
        if len(asked) > 1:
            return train(missing, engine, listener, *rest)
        program = Program.of(first)
        listener.finish(
            program.name, [Result.failed(first, program, "it took two workers with it")]
        )
        return train([second], engine, listener, *rest)

    monkeypatch.setattr(run, "train", fails)
    rows = run_study([first, second], ONE_LANE, Study(tmp_path, "small"))
    kept = store.read(tmp_path)
    (failed,) = kept.filter(kept["status"] == "failed").iter_rows(named=True)
    assert failed["key"] == first.key
    assert not failed["solved"]
    assert failed["reason"] == "it took two workers with it"
    assert without_failed(kept)["key"].to_list() == [second.key]
    assert totals(rows).endswith(", 1 failed (the same command trains these again)")
    again = run_study([first, second], ONE_LANE, Study(tmp_path, "small"))
    assert asked == [[first, second], [first]]
    keys = {first.key, second.key}
    assert set(without_failed(again)["key"]) == set(store.read(tmp_path)["key"]) == keys
    assert "failed" not in totals(again)
