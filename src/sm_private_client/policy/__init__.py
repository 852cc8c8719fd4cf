"""Who may pass: policy documents of VPC endpoints and identities, judged without asking AWS.

Pure: nothing here opens a socket, reads the environment or the clock.
"""
