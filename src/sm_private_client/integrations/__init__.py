"""Private clients for programs that make their own, and for other libraries."""
