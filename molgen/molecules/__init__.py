"""A string becomes a molecule or a reason; filter, draw, count, compare. Never torch."""
