"""Scripts for other frameworks: a member's network, initial weights, recipe, sequences
and verdict, without memcap.

NAME.template is the script of one framework, and script.py fills it in. A new file is a
new framework; script.py may need further parts for it.
"""

from memcap.scripts.script import FRAMEWORKS as FRAMEWORKS
from memcap.scripts.script import check_network as check_network
from memcap.scripts.script import script as script
