"""Measures: ratios in one run on one machine, never a test that times."""
