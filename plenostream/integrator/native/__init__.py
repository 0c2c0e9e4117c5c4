"""The integrator for CPUs: kernels in C, compiled while the package is built."""
