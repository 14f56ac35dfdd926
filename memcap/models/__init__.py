"""Recurrent networks: the LSTM and its scan, any Flax cell, read-outs, initialisers, hand-set weights."""
