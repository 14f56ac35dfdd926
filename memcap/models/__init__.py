"""Networks: a cell and its read-out, initialisers, hand-set weights, and export to
other libraries."""
