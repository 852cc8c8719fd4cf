"""Call models: one input, a stream, an asynchronous job, many inputs."""
