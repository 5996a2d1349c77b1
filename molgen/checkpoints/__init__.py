"""A model folder: found, read, written, described."""
