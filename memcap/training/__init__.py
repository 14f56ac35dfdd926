"""The one engine that trains: members in, rows out."""
