"""Carry bytes privately, or refuse."""
