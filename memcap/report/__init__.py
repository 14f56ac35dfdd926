"""What is said of a study: its tables, and its page."""
