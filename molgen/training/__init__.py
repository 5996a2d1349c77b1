"""Arrays become a model folder."""
