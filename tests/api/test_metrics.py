"""The address of the figures: off unless it is wanted, and for whoever has its token."""

from __future__ import annotations

import pytest

from concert.factory import create_app
from concert.ground.metrics import ALL, Figures
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.overview.conftest import told_in
from tests.sale import Sale

TOKEN = "a token for figures"


def test_figures_are_off_unless_they_are_wanted(sale: Sale) -> None:
    answer = sale.app.test_client().get("/metrics")
    assert answer.status_code == 404
    assert answer.json["code"] == "not_found"
    assert not part(Figures, sale.app).enabled


def test_figures_are_text_that_nobody_keeps(sale: Sale, settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"metrics": True})).test_client()
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert told_in(answer.text)


def test_whoever_asks_for_open_metrics_gets_them(sale: Sale, settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"metrics": True})).test_client()
    wanted = "application/openmetrics-text; version=1.0.0"
    answer = client.get("/metrics", headers={"Accept": wanted})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 401, "token_missing"),
        ({"Authorization": "Bearer"}, 401, "token_missing"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "token_missing"),
        ({"Authorization": "Bearer another"}, 401, "token_invalid"),
        ({"Authorization": "Bearer tökén"}, 401, "token_invalid"),
        ({"Authorization": f"Bearer {TOKEN}"}, 200, None),
    ],
)
def test_where_there_is_a_token_only_whoever_sends_it_is_told(
    sale: Sale, settings: Settings, sent: dict[str, str], status: int, code: str | None
) -> None:
    wanted = {"metrics": True, "metrics_token": TOKEN}
    client = create_app(settings.model_copy(update=wanted)).test_client()
    answer = client.get("/metrics", headers=sent)
    assert answer.status_code == status
    if code:
        assert answer.json["code"] == code
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "concert_" not in answer.text


def test_every_name_is_one_series_and_says_its_kind() -> None:
    assert len({series.name for series in ALL}) == len(ALL) > 35
    for series in ALL:
        assert series.name.startswith("concert_")
        assert series.name.endswith("_total") == (series.kind == "counter")
