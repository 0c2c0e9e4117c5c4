"""What `tools/gpu_check` does: compile for a GPU that need not be here, or render on one that is."""
