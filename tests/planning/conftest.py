"""Fixtures for planning."""

from __future__ import annotations

import pytest

from tests.sale import Sale
from tests.web.browser import Browser


@pytest.fixture
def visitor(sale: Sale) -> Browser:
    """The browser of somebody who comes for the first time."""
    return Browser(sale)
