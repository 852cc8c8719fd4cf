"""The table of checks, and their pure functions."""
