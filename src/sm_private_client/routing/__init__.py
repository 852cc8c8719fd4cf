"""Which way: reads the world and decides a route; never carries a SageMaker call."""
