"""Measurements: frames, streaming, opening, decoding, converting; and what each is compared with.

Every figure is the median of repeats that take turns with what they are compared with, so that a
machine which slows down meanwhile slows all of them. Nothing here prints. This file imports
nothing: some modules are also run as programs of their own (`apart`).
"""
