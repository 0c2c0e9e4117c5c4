"""What a scene's field is: the voxel grid in the world, the basis functions, the numbers."""
