"""Coarser levels of a scene, each made of the one before it."""
