"""Make a file of sequences for task=data: 4,000 records of 30 readings, and how often each went over a limit
(0, 1, 2, or more).

python examples/own_sequences.py readings.npz; then how many units they need, and how much of the past:

memcap train task=data task.file=readings.npz recipe=hold study=readings \
  'axes=[{task.lag: 29, model.units: [1, 2, 3, 4], seed: 4}, {task.lag: [7, 14], model.units: 4, seed: 4}]'
memcap frontier outputs/readings
"""

import sys

import numpy as np

rng = np.random.default_rng(0)
readings = rng.gumbel(size=(4000, 30))
over = (readings > 3.4).sum(1)  # a reading in thirty, about
np.savez(
    sys.argv[1], inputs=readings[:, :, None].astype(np.float32), targets=np.minimum(over, 3).astype(np.int32)
)
