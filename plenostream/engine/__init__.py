"""The host loop: from cameras and rays to pictures."""
