"""Linear attention as a recurrent cell: what is written adds up, and nothing is ever forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from memcap.cells.matrix import MatrixCell, added

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class LinearAttention(MatrixCell):
    """S' = S + k v^T (memcap/cells/matrix.py).

    Left out: the feature map and the normaliser z of Katharopoulos et al. (2020), "Transformers are RNNs",
    for which the division by the root mean square stands, as in later layers.
    """

    name: ClassVar[str] = "linear_attention"

    def write(
        self,
        state: Float[Array, "B K U"],
        key: Float[Array, "B K"],
        value: Float[Array, "B U"],
        gates: list[Float[Array, " B"]],
    ) -> Float[Array, "B K U"]:
        """Add the value at the key."""
        del gates
        return added(state, key, value)
