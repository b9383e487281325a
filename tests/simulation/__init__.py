"""Promises under stress: disorder, concurrency, broken lines and killed processes."""
