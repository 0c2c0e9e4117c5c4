"""The commands of `tools/bench`, a module a group of them.

What measures is imported by their bodies: JAX reads the environment when it is imported.
"""
