"""What tests and tools share: tiny checkpoints, closed forms, recorded cases, invariants.

Nothing here is imported by the renderer, and nothing here shares code with its kernels.
"""
