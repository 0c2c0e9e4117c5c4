"""Paths and files of the system: what may be written where, whole or not at all."""
