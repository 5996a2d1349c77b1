"""A checkpoint and settings become rows."""
