"""Plans of a training, also for chips that this machine does not have."""
