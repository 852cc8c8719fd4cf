"""Lists your inference endpoints through the VPC endpoint, or says why it cannot.

Run it where your code runs, in a VPC with an interface endpoint for the SageMaker API and one
for its Runtime:

    python examples/connect.py
"""

from __future__ import annotations

import sm_private_client as smp

sagemaker, runtime = smp.connect()
for hosted in sagemaker.list_endpoints()["Endpoints"]:
    print(hosted["EndpointName"], hosted["EndpointStatus"])
