"""Plans of training before it starts: programs, memory and time, also on chips that are not here."""
