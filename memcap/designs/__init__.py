"""Designs: which training runs to ask for, by the results so far."""

from memcap.designs.design import DESIGNS, Design, Outcome

__all__ = ["DESIGNS", "Design", "Outcome"]
