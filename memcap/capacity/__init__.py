"""Analysis of trained networks: the frontier, reference widths, comparisons, the map of
cells, the answer."""
