"""Open a page on which LSTMs train in the browser, to watch how they learn to remember.

The page is a file, whose address is printed. It needs no network.

  memcap watch
"""

import webbrowser
from argparse import ArgumentParser, Namespace

from memcap.runtime import ROOT


def add_arguments(parser: ArgumentParser) -> None:
    del parser


def run(arguments: Namespace) -> None:
    address = (ROOT / "docs" / "watch" / "index.html").as_uri()
    print(address)
    webbrowser.open(address)
