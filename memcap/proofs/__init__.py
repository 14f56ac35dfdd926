"""Proofs that a net is right on all sequences within N steps, or a sequence on which it
is wrong."""
