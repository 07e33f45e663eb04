"""Benchmarks of the whole system: real processes, real broker, real database, results that are checked."""
