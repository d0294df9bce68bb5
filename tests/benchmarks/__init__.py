"""Benchmarks: run by hand, never as timed tests; each ends in one JSON line."""
