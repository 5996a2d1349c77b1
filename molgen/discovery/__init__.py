"""Towards goals, with and without an oracle."""
