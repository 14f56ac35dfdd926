"""The terminal: tables, numbers and words as they are printed."""
