"""Lanes sharded over the devices of a host, on 8 devices that XLA makes of this CPU, in
a process of its own."""

import os
from pathlib import Path

import pytest
from command import python

EIGHT = """
import jax
from training_checks import assert_same, member
from memcap.config.member import Engine
from memcap.training.engine import train
from memcap.training.queue import Queue
from tests.conftest import without_optimisation

assert jax.local_device_count() == 8
members = [member("delay_line", lag, seed=s, units=2) for lag in (1, 2, 5) for s in range(4)][:11]
queues = [Queue(members, Engine(loop="associative", lanes=lanes)) for lanes in (0, 11, 16)]
(program,) = {queue.claim_program(0) for queue in queues}
assert (program.lanes, program.devices) == (16, 8)
with without_optimisation():
    sharded = train(members, Engine(loop="associative", workers=1))
    plain = train(members, Engine(loop="while", workers=1))
for one, other in zip(sharded, plain, strict=True):
    assert one.side_by_side
    assert_same(one, other)
print(len(sharded))
"""


@pytest.mark.breadth
def test_eleven_members_on_eight_devices_have_the_rows_of_one_device(tmp_path):
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, (here.parents[1], here.parent, here)))
    flags = os.environ.get("XLA_FLAGS", "")
    flags += " --xla_force_host_platform_device_count=8"
    environment = {"PYTHONPATH": path, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = python(tmp_path, "-c", EIGHT, **environment)
    assert done.stdout == "11\n", done.stderr
