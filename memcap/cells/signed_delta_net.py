"""DeltaNet with negative eigenvalues: a write can flip a sign."""

from __future__ import annotations

from memcap.cells.delta_net import DeltaNet


class SignedDeltaNet(DeltaNet):
    """DeltaNet with b = 2 sigmoid(w x + c): eigenvalues in [-1, 1]; b = 2 reflects S.

    Source: Grazzi et al. (2025), "Unlocking state-tracking in linear RNNs through
    negative eigenvalues".
    """

    name = "signed_delta_net"
    allow_neg_eigval = True
