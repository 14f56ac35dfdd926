"""`python -m memcap`: the same as the command `memcap`."""

from memcap.cli import main

main()
