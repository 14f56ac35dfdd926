"""How Hydra's jobs become members and are trained: one by one, or as populations."""
