"""Scaffolds, motifs, linkers and parts of leads: what stays, and what is drawn around it."""
