"""Linear attention as a recurrent cell: values add up, and nothing is forgotten."""

from typing import Any

from memcap.cells.additive import AdditiveCell
from memcap.cells.matrix import Gate


class LinearAttention(AdditiveCell):
    """S' = S + k v^T (memcap/cells/matrix.py).

    Left out: the feature map and the normaliser z of Katharopoulos et al. (2020),
    "Transformers are RNNs"; the division by the root mean square replaces it, as in
    later layers.
    """

    name = "linear_attention"

    def decay_and_strength(self, gates: list[Gate]) -> tuple[Any, Any]:
        """Return (None, None): no decay, and a factor of 1."""
        return None, None
