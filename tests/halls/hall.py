"""Small halls, and concerts in halls, for tests."""

from __future__ import annotations

from typing import Any

import orjson

from concert.halls.document import document_of
from concert.halls.service import example
from tests.sale import NEW_YEARS_EVE, Sale


def two_rows(**more: Any) -> dict[str, Any]:
    """Two rows of four: in front one category with a wheelchair's place, behind another."""
    flags = {0: ["wheelchair"], 1: ["companion"]}

    def row(label: str, y: int, category: str) -> dict[str, Any]:
        seats = [
            {
                "label": str(index + 1),
                "x": 10 * index,
                "y": y,
                "category": category,
                "flags": flags.get(index, []) if label == "A" else [],
            }
            for index in range(4)
        ]
        return {"label": label, "seats": seats}

    return {
        "name": "Parlour",
        "stage": {"label": "Stage", "outline": [[0, -30], [30, -30], [30, -10], [0, -10]]},
        "categories": [
            {"name": "Front", "color": "#7a4fd0"},
            {"name": "Back", "color": "#1f8a70"},
        ],
        "sections": [
            {"name": "Stalls", "rows": [row("A", 0, "Front"), row("B", 12, "Back")]},
        ],
        **more,
    }


def keep(sale: Sale, plan: dict[str, Any]) -> int:
    """Keep a hall; returns its number."""
    made = sale.organise("POST", "/v1/halls", json={"plan": plan})
    assert made.status_code in (200, 201), made.text
    number: int = made.json["hall_id"]
    return number


def keep_example(sale: Sale, name: str) -> int:
    """Keep one of the halls that come with us."""
    compact = orjson.loads(orjson.dumps(document_of(example(name), "compact")))
    return keep(sale, compact)


def concert_in(sale: Sale, hall: int, **date: Any) -> int:
    """A concert with one date in a hall; returns its number."""
    if "price" not in date and "prices" not in date:
        date["price"] = 1000
    dates = [{"starts_at": NEW_YEARS_EVE.isoformat(), "hall": hall, **date}]
    body = {"title": "Winter Songs", "venue": "Hall", "dates": dates}
    made = sale.organise("POST", "/v1/concerts", json=body)
    assert made.status_code == 201, made.text
    sale.count_seats()
    number: int = made.json["id"]
    return number


def performance_of(sale: Sale, concert: int) -> int:
    """The number of a concert's one date."""
    number: int = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["performance_id"]
    return number


def letters(sale: Sale, concert: int) -> str:
    """The states of all seats, a letter each."""
    seats = sale.admitted_fan(concert).seats(concert).json["dates"][0]["seats"]
    return "".join(seat["state"][0] for seat in seats)
