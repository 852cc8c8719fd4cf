"""What is known about PrivateLink and SageMaker: names, addresses, records. Pure; no I/O."""
