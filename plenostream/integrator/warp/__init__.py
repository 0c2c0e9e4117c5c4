"""The integrator in NVIDIA Warp: one kernel in which a thread walks a ray, inside JAX."""
