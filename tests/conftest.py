"""Shared by every test; its being here puts ``tests/`` on the import path."""
