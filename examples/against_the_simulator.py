"""Does the same in a VPC that is played on this machine: no AWS account, no network.

Needs the extra ``testing``:

    pip install 'sm-private-client[testing]'
    python examples/against_the_simulator.py
"""

from __future__ import annotations

import sm_private_client as smp
from sm_private_client.testing import LocalPrivateLink

with LocalPrivateLink() as link:
    link.deploy("echo", lambda body, _content_type: body.upper())

    session = link.session()
    sagemaker, runtime = smp.connect(session=session)

    for hosted in sagemaker.list_endpoints()["Endpoints"]:
        print(hosted["EndpointName"], hosted["EndpointStatus"])
    answer = runtime.invoke_endpoint(EndpointName="echo", Body=b"hello", ContentType="text/plain")
    print(answer["Body"].read().decode())
    print(session.route("sagemaker-runtime").explain())
