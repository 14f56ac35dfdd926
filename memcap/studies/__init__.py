"""One job of a study: what is missing is trained, and written as it ends."""
