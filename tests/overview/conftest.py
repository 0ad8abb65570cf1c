"""An app that tells figures, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from concert.factory import create_app
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.overview.figures import Readings
from tests.sale import Sale

Labels = tuple[tuple[str, str], ...]
Told = dict[tuple[str, Labels], float]


def told_in(text: str) -> Told:
    """Every value in what Prometheus would read, by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Watched(Sale):
    """A sale whose service tells figures."""

    def figures(self) -> Told:
        """What is told now; what was read within the last second is read anew."""
        part(Readings, self.app).until = 0.0
        answer = self.app.test_client().get("/metrics")
        assert answer.status_code == 200, answer.text
        return told_in(answer.text)

    def figure(self, name: str, **labels: str) -> float | None:
        """One value; None where it is not told."""
        return self.figures().get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def watched(sale: Sale, settings: Settings) -> Iterator[Watched]:
    """An empty service that tells figures."""
    app = create_app(settings.model_copy(update={"metrics": True}))
    with app.app_context():
        yield Watched(app)


Figure = Callable[..., float | None]
