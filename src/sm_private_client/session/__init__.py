"""Session: a ``boto3.Session`` whose SageMaker clients go through PrivateLink, or not at all.

``session`` has the class. ``private_routes`` decides how a service is reached, and ``lookups`` has
the AWS calls that this may take. ``clients`` puts the guard on clients, ``sealed`` on the rest, and
``predictors`` has what predictors share.
"""

from __future__ import annotations

from sm_private_client.session.session import Session

__all__ = ["Session"]
