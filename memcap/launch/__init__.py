"""Hydra's jobs: composed, checked, and trained one by one or together."""
