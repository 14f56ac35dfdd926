"""One job of a study: trains the missing members, and writes each as it ends."""
