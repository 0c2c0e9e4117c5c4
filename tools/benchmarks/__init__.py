"""What `tools/bench` does: measure frames, streaming, opening, decoding and converting.

Every figure is the median of repeats that take turns with what they are compared with, so that a
machine that slows down meanwhile slows all of them. Importing this package imports none of its
modules: some measure in a process of their own what it takes to import JAX.
"""
