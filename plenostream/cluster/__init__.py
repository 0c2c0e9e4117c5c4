"""Rendering on many machines. Dask schedules, tries again and moves pictures; workers read the scene."""
