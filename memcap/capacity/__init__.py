"""What is said about trained networks: thresholds and intervals, reference lines, memory curves, noise."""
