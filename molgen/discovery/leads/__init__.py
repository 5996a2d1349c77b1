"""Lead optimisation: what to open of a lead, and what becomes of it."""
