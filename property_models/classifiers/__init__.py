"""Noisy classifiers: networks that tell from a noised row what it will turn out to be."""
