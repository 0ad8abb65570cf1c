"""Fixtures for pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sale import Sale
from tests.web.browser import Browser


@pytest.fixture
def visitor(sale: Sale) -> Browser:
    """The browser of somebody who comes for the first time."""
    return Browser(sale)


@pytest.fixture
def new_visitor(sale: Sale) -> Callable[..., Browser]:
    """Makes further browsers, each of somebody else; ``language`` is what it prefers."""
    return lambda language="en": Browser(sale, language)
