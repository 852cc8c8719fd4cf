"""The demonstration: a story told in events, and three ways to show them."""
