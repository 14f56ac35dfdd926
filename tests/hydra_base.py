"""Which defaults of Hydra are meant: 1.3 wants to be told, 1.4 no longer."""

import inspect

import hydra

BASE = {} if "execution_whitelist" in inspect.signature(hydra.main).parameters else {"version_base": "1.3"}
