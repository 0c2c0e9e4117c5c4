"""What brings rays through bricks on a device: a folder a backend."""
