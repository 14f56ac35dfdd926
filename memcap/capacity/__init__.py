"""What is said about trained networks: thresholds and intervals, the frontier, reference lines, the
answer."""
