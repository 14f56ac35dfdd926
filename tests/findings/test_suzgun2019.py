"""Suzgun et al. (2019): where nets fail, and how that goes with their loss."""

from study_rows import at_lengths, seeds, table

from memcap import findings
from memcap.findings import NOT_MEASURED

study = findings.load("suzgun2019")

LIST = [30, 33, 36, 40, 50, 60, 100, 1000]


def nets(symbols, units, *numbers, loss=(0.1, 0.2, 0.3, 0.4), cell=study.LSTM):
    """Nets of a cell on a language, one a seed, each with the number at which it fails;
    None: at none."""
    outcomes = []
    for number, each in zip(numbers, loss, strict=False):
        whole = [
            1.0 if number is None or n < number else (number - 1) / n for n in LIST
        ]
        outcomes.append(
            at_lengths(LIST, whole, [1.0] * len(LIST)) | {"train_loss": each}
        )
    knobs = {"symbols": symbols}
    return seeds(
        "counter_language", 30, *outcomes, units=units, knobs=knobs, cell=cell, batch=64
    )


def test_a_net_fails_at_the_first_number_with_a_wrong_word_whatever_its_answers_score():
    data = study.PAPER.table(
        table(nets(3, 4, 50, 30, None), nets(3, 4, 50, cell="SimpleCell"))
    )
    assert data["fails_at"].to_list() == [50, 30, None]
    assert data["right_to"].to_list() == [40, 0, 1000]
    assert data["learnt"].to_list() == [True, False, True]
    assert data["symbols"].to_list() == [3, 3, 3]


def test_loss_is_ranked_against_the_range_in_each_language_and_among_nets_that_learnt():
    def verdict(*some):
        return study.PAPER.findings(table(*some))[5]

    two, three = (nets(k, 4, 50, 36, 40, 60) for k in (2, 3))
    assert verdict(two, three).holds is True
    assert verdict(two, nets(3, 4, 60, 50, 40, 36)).holds is False
    unlearnt = nets(3, 2, 30, 30, 30, 30, loss=(1, 2, 3, 4))
    assert verdict(two, three, unlearnt) == verdict(two, three)
    assert verdict(two) == NOT_MEASURED
