"""A file becomes rows, tokens and arrays."""
