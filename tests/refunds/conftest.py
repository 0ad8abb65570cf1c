"""A sale whose room lets everybody in, and what the tests of money back ask of it."""

from __future__ import annotations

import pytest

from tests.sale import Sale


@pytest.fixture
def rush(sale: Sale) -> Sale:
    """Everybody is let in at once."""
    sale.room(capacity=10_000, admit_per_minute=1_000_000)
    sale.something_else()
    return sale
