"""Scripts for other frameworks: a member's network, its training and its verdict,
without memcap, and the file of sequences on which a script trains.

NAME.template is what a script says in the words of a framework, numpy.template what all
say in NumPy's.
"""

from memcap.scripts.script import FRAMEWORKS as FRAMEWORKS
from memcap.scripts.script import check_network as check_network
from memcap.scripts.script import definition as definition
from memcap.scripts.script import lags_words as lags_words
from memcap.scripts.script import script as script
