"""Files, parallel work, threads, random streams, Pareto fronts, array types."""
