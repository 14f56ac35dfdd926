"""Make a file of sequences: 4,000 records of 30 readings, and how often each went over
a limit (0 to 3).

python examples/own_sequences.py readings.csv, then how many units they need:

memcap fit readings.csv --target over

As arrays, for any other study (python examples/own_sequences.py readings.npz): how much
past is needed.

memcap train task=data task.file=readings.npz task.criterion=.9 recipe=hold study=readings \
  'axes=[{task.lag: 29, model.units: [1, 2, 3, 4], seed: 4}, {task.lag: [7, 14],
  model.units: 4, seed: 4}]'
memcap frontier outputs/readings
"""

import sys

import numpy as np
import polars as pl

rng = np.random.default_rng(0)
readings = rng.gumbel(size=(4000, 30))
over = np.minimum((readings > 3.4).sum(1), 3)  # a reading in thirty, about
if sys.argv[1].endswith(".npz"):
    np.savez(
        sys.argv[1],
        inputs=readings[:, :, None].astype(np.float32),
        targets=over.astype(np.int32),
    )
else:
    record, step = np.indices(readings.shape)
    columns = {
        "sequence": record,
        "step": step,
        "reading": readings,
        "over": np.repeat(over[:, None], 30, 1),
    }
    pl.DataFrame({name: array.ravel() for name, array in columns.items()}).write_csv(
        sys.argv[1]
    )
