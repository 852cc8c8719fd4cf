"""What is looked at for the doctor: the session, the network, the account, each service."""
