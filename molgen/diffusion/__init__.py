"""Noise, plans, posteriors, bounds: functions of numbers and log-probabilities. Never RDKit."""
