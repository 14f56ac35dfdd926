"""Lanes sharded over the devices of a host, on 8 devices that XLA makes of this CPU, in
a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EIGHT = """
import json, sys
import jax
from training_checks import assert_same, member
from memcap.config.member import Engine
from memcap.training.engine import train
from memcap.training.queue import Queue
from tests.conftest import without_optimisation

assert jax.local_device_count() == 8
members = [member("delay_line", lag, seed=s, model={"units": 2}) for lag in (1, 2, 5) for s in range(4)][:11]
queues = [Queue(members, Engine(loop="associative", lanes=lanes)) for lanes in (0, 11, 16)]
(program,) = {queue.claim_program(0) for queue in queues}
with without_optimisation():
    sharded = train(members, Engine(loop="associative", workers=1))
    plain = train(members, Engine(loop="while", workers=1))
for one, other in zip(sharded, plain, strict=True):
    assert_same(one, other)
print(json.dumps([program.lanes, program.devices, len(sharded), sharded[0].side_by_side]))
"""  # noqa: E501


@pytest.fixture(scope="module")
def eight():
    here = Path(__file__).parent
    path = os.pathsep.join(
        filter(None, [str(here.parents[1]), str(here), os.environ.get("PYTHONPATH")])
    )
    flags = (
        os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", EIGHT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.breadth
def test_eleven_members_on_eight_devices_have_the_rows_of_one_device(eight):
    assert eight == [16, 8, 11, True]
