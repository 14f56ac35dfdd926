"""What would train, and on which chip: also on such as this machine does not have."""
