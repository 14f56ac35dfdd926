"""A user's own sequences: from a file to the width that is enough."""
