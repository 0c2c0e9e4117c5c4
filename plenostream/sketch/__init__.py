"""A scene as a drawing: its occupied bricks, cameras, and the samples of rays. No rendering."""
