"""Session: a ``boto3.Session`` whose SageMaker clients go through PrivateLink, or not at all.

``session`` has the class, whose parts ``wiring`` puts together: ``private_routes`` decides how a
service is reached, ``clients`` makes what is routed, ``sealed_clients`` what a sealed session may
have besides, ``carriers`` what predictors send with, ``callers`` what deciding a route may ask.
"""

from __future__ import annotations

from sm_private_client.session.making import is_making, making
from sm_private_client.session.session import Session

__all__ = ["Session", "is_making", "making"]
