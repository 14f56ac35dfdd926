"""Posteriors over widths, given counts of seeds that pass. Needs only NumPy."""
