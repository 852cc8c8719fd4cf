"""The demonstration: its script, what it sets up, how it shows itself."""
