"""A member as a script for another framework: the same network, start, recipe, sequences and verdict, and
nothing of memcap in it.

NAME.template is the script of one framework, and script.py fills it in. A new file is a new framework, which
asks script.py for what it needs.
"""

from memcap.scripts.script import FRAMEWORKS as FRAMEWORKS
from memcap.scripts.script import check_network as check_network
from memcap.scripts.script import script as script
