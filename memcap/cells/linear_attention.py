"""Linear attention: values add up, and nothing is forgotten."""

from typing import Any

from memcap.cells.additive import AdditiveCell
from memcap.cells.matrix import Gate


class LinearAttention(AdditiveCell):
    """S' = S + k v^T.

    Left out: the feature map and the normaliser z of Katharopoulos et al. (2020),
    "Transformers are RNNs"; the root mean square replaces it, as in later layers.
    """

    name = "linear_attention"

    def decay_and_strength(self, gates: list[Gate]) -> tuple[Any, Any]:
        return None, None
