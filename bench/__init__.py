"""Benchmarks: `python -m bench [PART ...]` prints tables and writes bench/results.json.

Every time stands beside a floor that was measured in the same run, turn by turn with it, and what counts is
the ratio: a slow or busy machine slows both. No test depends on a time.
"""
