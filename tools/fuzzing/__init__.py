"""Looks for files that a reader neither takes nor refuses in the way it should."""
