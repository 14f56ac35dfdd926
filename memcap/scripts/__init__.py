"""Scripts for other frameworks: a member's network, its training and its verdict,
without memcap, and the file of sequences on which a script trains.

NAME.template is what a script says in the words of a framework, numpy.template what all
say in NumPy's.
"""

from memcap.scripts.script import (
    FRAMEWORKS as FRAMEWORKS,
    check_network as check_network,
    definition as definition,
    lags_words as lags_words,
    script as script,
)
