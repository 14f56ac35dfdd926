"""Reports of a study: its tables, its page, and the end of a job."""
