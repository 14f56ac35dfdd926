"""Widths by trained nets: points, frontiers, comparisons, costs."""
