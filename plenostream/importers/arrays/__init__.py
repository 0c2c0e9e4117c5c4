"""Scenes from arrays, functions, bricks and scalar volumes."""
