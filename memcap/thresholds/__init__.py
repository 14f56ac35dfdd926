"""Counts of seeds that pass, turned into a posterior over widths: NumPy alone."""
