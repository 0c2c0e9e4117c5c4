"""The scene format: its layout, reading, writing and verifying it."""
