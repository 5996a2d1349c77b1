"""Networks, and how they are run. Never RDKit."""
