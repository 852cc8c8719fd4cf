"""What calling a model costs, side by side with other clients: ``python -m benchmarks``."""
