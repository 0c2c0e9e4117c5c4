"""What belongs to the whole process: signals, what must not be left behind, turns of threads."""
