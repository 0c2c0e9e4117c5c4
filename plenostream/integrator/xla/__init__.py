"""The integrator in JAX: its kernels, its programs, its pool. Imports no JAX by itself."""
