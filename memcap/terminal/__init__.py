"""How anything is printed at a terminal: tables, numbers, words."""
