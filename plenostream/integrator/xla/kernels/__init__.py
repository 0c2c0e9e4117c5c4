"""Pure functions of arrays, traced by JAX."""
