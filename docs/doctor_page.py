"""Generator of docs/doctor.md from the table of checks: ``python docs/doctor_page.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sm_private_client.doctor.checks.table import CHECKS

if TYPE_CHECKING:
    from sm_private_client.doctor.checks.check import Check

__all__ = ["page"]

_COMMANDS: Final = (
    "aws ",
    "cat ",
    "date ",
    "dig ",
    "export ",
    "nc ",
    "openssl ",
    "sudo ",
    "unset ",
)

_HEAD: Final = """\
# The doctor

<!-- Made by `python docs/doctor_page.py`. -->

`sm-private-client doctor` (or `diagnose()`) finds out why calls do not come through. It looks once
at everything below, in parallel, and changes nothing. That takes under 3 seconds if all is well,
and never more than 15. The root cause comes first; what follows from it is marked.

| status | meaning |
|---|---|
| `failure` | calls to a service do not come through because of it |
| `warning` | it is wrong or risky, but calls come through |
| `unknown` | it could not be looked at; the missing IAM permission is named |
| `ok` | nothing is wrong |

| exit status | meaning |
|---|---|
| 0 | healthy: nothing is broken, and every hop of every path was seen |
| 1 | broken |
| 2 | could not tell |

The path is one line for each service: `you → DNS → eni-… 10.0.1.10 (us-east-1a) → TLS → SigV4 →
endpoint policy → SageMaker`. `✗` marks the broken hop, `·` what was not reached behind it, `?` what
is not known.

What it sends: DNS look-ups, EC2 and STS calls that only read, connections that are closed again,
and one signed call for each service that changes nothing. A public address of SageMaker is never
dialled; another service's is, without sending anything, unless the session is sealed. No part of
the credentials is ever shown.

Permissions that let it see everything: `ec2:DescribeVpcEndpoints`, `ec2:DescribeNetworkInterfaces`,
`ec2:DescribeSecurityGroups`, `ec2:DescribeNetworkAcls`, `ec2:DescribeSubnets`, `ec2:DescribeVpcs`,
`ec2:DescribeVpcAttribute`, `sagemaker:ListEndpoints`, `sagemaker:InvokeEndpoint`.

## Checks

In the order of causes.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *map(_section, CHECKS)])


def _section(check: Check) -> str:
    lines = [
        f"### {check.name}",
        "",
        f"Looks at: {check.looks_at}.",
        "",
        f"If it is wrong: {_plain(check.meaning)}",
        "",
    ]
    if check.remedies:
        lines += ["Remedies, the best first:", ""]
        lines += [f"- {_shown(remedy)}" for remedy in check.remedies]
        lines.append("")
    if check.explained_by:
        names = ", ".join(f"[{name}](#{name})" for name in check.explained_by)
        lines += [f"Follows from: {names}.", ""]
    return "\n".join(lines)


def _shown(remedy: str) -> str:
    """Return a command as code, and advice as text."""
    text = _plain(remedy)
    return f"`{text}`" if text.startswith(_COMMANDS) or "<" in text else text


def _plain(template: str) -> str:
    """Return a template with its braces as places to fill in."""
    return template.replace("{", "<").replace("}", ">")


if __name__ == "__main__":
    Path(__file__).with_name("doctor.md").write_text(page(), encoding="utf-8")
