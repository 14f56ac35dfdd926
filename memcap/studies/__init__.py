"""Studies: lists of members, the store that holds their rows, and the job that trains what is missing."""
