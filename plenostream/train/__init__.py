"""Trains scenes: rows of voxels, fitted to photographs through the integrator that draws them."""
