"""Estimators of sequences keep scikit-learn's conventions, and `memcap.fit` says what the
command does."""

import numpy as np
import polars as pl
import pytest
from breadth import leave
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import memcap
from memcap.own import estimator, search as own_search

pytestmark = pytest.mark.usefixtures("quick_file")

# scikit-learn's checks, for which (N, T) numbers are sequences of one number a step
WITHOUT_TRAINING = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_complex_data",
    "check_estimators_empty_data_messages",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_supervised_y_no_nan",
    "check_parameters_default_constructible",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_get_params_invariance",
    "check_set_params",
    "check_requires_y_none",
]
WITH_TRAINING = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_supervised_y_2d",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit1d",
    "check_fit2d_predict1d",
]
CHECKS = {
    "SequenceClassifier": [
        *WITHOUT_TRAINING,
        "check_classifiers_one_label",
        "check_classifiers_regression_target",
        *WITH_TRAINING,
        "check_classifier_data_not_an_array",
        "check_classifiers_classes",
        "check_classifiers_train",
    ],
    "SequenceRegressor": [
        *WITHOUT_TRAINING,
        *WITH_TRAINING,
        "check_regressor_data_not_an_array",
        "check_regressors_no_decision_function",
        "check_regressors_int",
        "check_regressor_multioutput",
    ],
}
# check_regressors_train asks for a score on a table of which one column in ten matters:
#   a net that reads the columns one after another cannot tell them apart by 200 rows.
# check_array_api_input runs only where SciPy's array API is switched on.
CASES = [(kind, check) for kind, checks in CHECKS.items() for check in checks]
QUICK = [case for case in CASES if case[1] in WITHOUT_TRAINING]
SLOW = [case for case in CASES if case[1] not in WITHOUT_TRAINING]


@pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn")
@pytest.mark.parametrize(("kind", "name"), [*QUICK, *leave(SLOW)])
def test_a_check_of_scikit_learn(kind, name, monkeypatch):
    monkeypatch.setattr(estimator, "BUDGET", 600 if name.endswith("s_train") else 20)
    own = getattr(memcap, kind)(units=2, folds=1, seeds=1)
    checks = [
        (net, check)
        for net, check in estimator_checks_generator(own)
        if check.func.__name__ == name
    ]
    assert checks
    for net, check in checks:
        check(net)


def sequences(count=60):
    """Sequences of unlike lengths, and whether each begins above 0."""
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(rng.integers(2, 5), 2)) for _ in range(count)]
    return inputs, np.array([sequence[0, 0] > 0 for sequence in inputs])


LIKE = np.zeros((20, 4, 2))
BAD = [
    ({"folds": 0}, LIKE, "folds=0: must be a whole number, at least 1"),
    ({"folds": -1}, LIKE, "folds=-1"),
    ({"seeds": 0}, LIKE, "seeds=0"),
    ({"most": 0}, LIKE, "most=0"),
    ({"units": 0}, LIKE, "units=0"),
    ({"symbols": True}, np.full((20, 4), 1.9), "X holds numbers that are not whole"),
    ({}, [[[0.0], [np.nan]], [[0.0]]] * 10, "NaN"),
    ({}, [[0.0, np.nan], [0.0]] * 10, "NaN"),
]


@pytest.mark.parametrize(("how", "inputs", "said"), BAD)
def test_a_mistake_is_an_error_of_values_before_anything_trains(how, inputs, said):
    with pytest.raises(ValueError, match=said):
        memcap.SequenceClassifier(**how).fit(inputs, np.arange(20) % 2)


def test_lists_of_like_and_unlike_lengths_are_read_alike(capsys):
    net = memcap.SequenceClassifier()
    unlike = [np.ones((2, 3)), np.ones((4, 3))]
    for inputs, shapes in (
        (unlike, [(2, 3), (4, 3)]),
        (unlike[1:] * 2, [(4, 3), (4, 3)]),
        (np.ones((2, 4, 3)), [(4, 3), (4, 3)]),
        ([[1, 2], [1, 2, 3]], [(2, 1), (3, 1)]),
        ([[1, 2, 3], [1, 2, 3]], [(3, 1), (3, 1)]),
    ):
        assert [x.shape for x in net._sequences(inputs)] == shapes
    assert capsys.readouterr().err == ""
    net._sequences(np.ones((5, 2, 9)))
    assert "X is read as 2 steps of 9 numbers; if it is 2 channels of 9" in (
        capsys.readouterr().err
    )


@pytest.fixture
def short(monkeypatch):
    """A search of few nets, which hardly train."""
    monkeypatch.setattr(own_search, "RACE", (("hold", 0.03),))
    monkeypatch.setattr(own_search, "RACE_UNITS", ((1,), (1,)))
    monkeypatch.setattr(own_search, "BUDGET", 20)
    return {"most": 1, "folds": 2, "seeds": 1, "workers": 1, "progress": False}


@pytest.mark.breadth
def test_a_frame_and_its_sequences_are_answered_alike_in_words_numbers_and_a_picture(
    short, tmp_path
):
    inputs, above = sequences()
    frame = pl.DataFrame(
        [
            (f"{k:02}", *numbers, ["no", "yes"][int(above[k])])
            for k, sequence in enumerate(inputs)
            for numbers in sequence
        ],
        ["sequence", "a", "b", "above"],
        orient="row",
    )
    found = memcap.fit(frame, "above", folder=tmp_path / "frame", **short)
    assert str(found) == "\n".join(found.answer["words"])
    assert found.widths["units"].to_list() == [1]
    assert found.estimator.units_ == 1
    assert found.units in (None, 1)
    assert found.figure.data["units"].to_list() == [1]
    said = found.estimator.predict(frame)
    assert {*said} <= {"no", "yes"}
    columns = {name: frame[name].to_list() for name in frame.columns}
    assert found.estimator.predict(columns).tolist() == said.tolist()

    arrays = memcap.fit(inputs, above, folder=tmp_path / "arrays", **short)
    assert arrays.answer["words"] == found.answer["words"]
    assert (arrays.estimator.predict(inputs) == (said == "yes")).all()
    assert clone(found.estimator).get_params() == found.estimator.get_params()


@pytest.mark.breadth
def test_it_stands_in_a_pipeline_whose_folds_are_scored(monkeypatch):
    monkeypatch.setattr(estimator, "BUDGET", 20)
    inputs = np.random.default_rng(0).normal(size=(60, 4))
    net = memcap.SequenceRegressor(units=1, folds=1, seeds=1)
    scores = cross_val_score(
        make_pipeline(StandardScaler(), net), inputs, 500 + 9 * inputs[:, -1], cv=2
    )
    assert (scores > -1).all()
    assert (scores <= 1).all()
