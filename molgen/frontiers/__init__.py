"""Comparisons: sweep, tune, chart."""
