"""The native kernel in tests: a mark where it cannot be had, and a cache of their own."""

import shutil

import pytest

from memcap.loops.c_library import COMPILER

HAS_COMPILER = shutil.which(COMPILER) is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")
