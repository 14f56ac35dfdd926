"""Plans of what would train, also on chips that this machine does not have."""
