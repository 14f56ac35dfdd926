"""Statements about trained networks: the frontier, reference lines, comparisons, the map of cells, the
answer."""
