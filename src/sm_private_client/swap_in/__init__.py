"""Private clients for code that makes its own: ``install``, adoption, blocking, aiobotocore."""
