"""Printing to the terminal: tables, numbers and words."""
