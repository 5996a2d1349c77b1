"""Hostile inputs; see ``__main__.py``."""
