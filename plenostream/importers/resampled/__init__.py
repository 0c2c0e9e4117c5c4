"""Models of other programs, whose picture no scene has exactly: resampled, when asked to."""
