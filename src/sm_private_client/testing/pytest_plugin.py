"""pytest fixtures: ``private_link``, a running simulator, and ``private_session`` inside it.

Importing this module costs nothing: the simulator is imported when a fixture is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.session import Session
    from sm_private_client.testing import LocalPrivateLink

__all__ = ["private_link", "private_session"]


@pytest.fixture
def private_link() -> Iterator[LocalPrivateLink]:
    """Yield a running ``LocalPrivateLink`` that only this test sees."""
    from sm_private_client.testing import LocalPrivateLink  # noqa: PLC0415 - see the module

    with LocalPrivateLink() as link:
        yield link


@pytest.fixture
def private_session(private_link: LocalPrivateLink) -> Session:
    """Return a ``Session`` inside the VPC of ``private_link``."""
    return private_link.session()
