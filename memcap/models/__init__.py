"""Networks: a cell and its read-out, initialisers, hand-set weights, export to other libraries, shapes."""
