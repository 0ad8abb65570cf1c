"""A scanner at a door, as a program has one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.test import TestResponse

from concert.ground.audit import SYSTEM
from concert.staff import keys
from tests.sale import Sale

# A quarter past six in Seoul, where the concert begins at seven.
EARLY = datetime(2030, 12, 31, 9, 15, tzinfo=UTC)


@dataclass
class Scanner:
    """A device with the key of the door."""

    sale: Sale
    device: str
    gate: str = "A"
    key: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.key = keys.add_key(self.device, "door", actor=SYSTEM).secret

    def ask(self, code: str | None = None, **said: Any) -> TestResponse:
        """Show a code, on New Year's Eve where nothing else is said."""
        body: dict[str, Any] = {
            "gate": self.gate,
            "device": self.device,
            "scan_id": str(next(self.numbers)),
            "at": EARLY.isoformat(),
            **said,
        }
        if code is not None:
            body["code"] = code
        return self.sale.call("POST", "/v1/entries", token=self.key, json=body)

    def scan(self, code: str | None = None, **said: Any) -> dict[str, Any]:
        """The same, which must be answered."""
        answer = self.ask(code, **said)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def get(self, performance: int, what: str, **query: str) -> Any:
        """What the door may know of a date."""
        path = f"/v1/performances/{performance}/{what}"
        answer = self.sale.call("GET", path, token=self.key, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def undo(self, entry: int, reason: str = "the wrong one") -> TestResponse:
        """Take an entry back."""
        return self.sale.call(
            "DELETE", f"/v1/entries/{entry}", token=self.key, query_string={"reason": reason}
        )
