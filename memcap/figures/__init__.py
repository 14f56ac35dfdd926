"""Figures: each reads rows, draws, and writes the data that it drew beside the picture."""
