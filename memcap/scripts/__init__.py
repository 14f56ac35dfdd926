"""Scripts for other frameworks, without memcap: a member's network, training, verdict
and sequences. A framework's template has its own words, numpy.template what all say."""

from memcap.scripts.script import (
    FRAMEWORKS as FRAMEWORKS,
    check_network as check_network,
    definition as definition,
    lags_words as lags_words,
    script as script,
)
