"""What every importer shares: voxels of any source become the bricks of a scene."""
