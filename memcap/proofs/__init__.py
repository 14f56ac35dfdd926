"""Proofs that a net is right on all sequences within N steps, by trying each of them or
by bounds of the carry; and the search for a sequence on which it is wrong."""
