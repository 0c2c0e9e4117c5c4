"""tools/bench and tools/trace: the benchmark's models, the native baseline, and time by phase."""
