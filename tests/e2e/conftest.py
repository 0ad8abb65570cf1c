"""Real browsers before the real processes: one set of both for each xdist worker.

A failed test leaves a picture in ``test-results/``, and a trace where it is run with
``--tracing=retain-on-failure`` (which costs a quarter of the time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask_migrate
import httpx
import pytest
from playwright.sync_api import expect

from concert.factory import ConcertApp, create_app
from concert.ground.settings import Settings, load_settings
from tests.chromium import installed_chromium
from tests.e2e.house import Hall, Halls, House, HttpSale
from tests.e2e.visitor import Complaints, OpenBrowser, Visitor, Words
from tests.sale import ORGANISER_KEY
from tests.servers import own_database, own_redis
from tests.service import free_port

LOCALES = {"en": "en-US", "ko": "ko-KR"}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 15_000
MOST_WORKERS = 8

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory, so that ``-m`` can choose them or leave them out."""
    for item in items:
        if item.path.parent.name == "e2e":
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def house_settings(database_url: str, worker_name: str) -> Iterator[Settings]:
    """The settings of the processes: a database and a Redis that only they use.

    The clock ticks in them by itself, which no other test could bear.
    """
    # Where one Redis is given for all workers, each has a database of it, and so has each house.
    number = int(worker_name.removeprefix("gw")) if worker_name.startswith("gw") else 0
    with (
        own_database(database_url, "e2e") as house_database,
        own_redis(f"gw{MOST_WORKERS + number}") as house_redis,
    ):
        yield load_settings(
            database_url=house_database,
            redis_url=house_redis,
            port=free_port(),
            secret_keys=("the key of the houses: long enough to sign with",),
            organiser_key=ORGANISER_KEY,
            new_users_per_minute=1_000_000,
            log_level="error",
        )


@pytest.fixture(scope="session")
def house_app(house_settings: Settings) -> ConcertApp:
    """The app on the house's servers, to reach behind the scenes; the database is migrated."""
    app = create_app(house_settings)
    with app.app_context():
        flask_migrate.upgrade()
    return app


@pytest.fixture(scope="session")
def house(house_settings: Settings, house_app: ConcertApp) -> Iterator[House]:
    """Web, worker and clock."""
    house = House(house_settings)
    try:
        house.start()
        yield house
    finally:
        house.stop()


@pytest.fixture(scope="session")
def base_url(house: House) -> str:
    """Where pytest-playwright's pages begin."""
    return house.address


@pytest.fixture
def sale(house: House, house_app: ConcertApp) -> Iterator[HttpSale]:
    """The running service, and the means to act in it as fans and as its organiser."""
    house.newly_said()
    with httpx.Client(base_url=house.address, timeout=20) as client, house_app.app_context():
        yield HttpSale(house_app, client=client)
    # Shown where the test fails.
    print(house.newly_said())


@pytest.fixture(scope="session")
def halls_opened() -> dict[str, Halls]:
    """What numbers the halls of a session."""
    return {}


@pytest.fixture
def open_hall(sale: HttpSale, halls_opened: dict[str, Halls]) -> Callable[..., Hall]:
    """Opens a concert of the test's own; keyword arguments are its room's settings."""
    halls = halls_opened.setdefault("halls", Halls(sale))
    halls.sale = sale
    return halls.open


@pytest.fixture
def hall(open_hall: Callable[..., Hall]) -> Hall:
    """A concert of the test's own."""
    return open_hall()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium where it is there, which talks to nobody but us."""
    # A container's root cannot open Chromium's sandbox, and may have little shared memory.
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
    installed = installed_chromium()
    found = {"executable_path": installed} if installed else {}
    return {**browser_type_launch_args, "args": arguments, **found}


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """No page logs an error, and none violates the content security policy."""
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def open_browser(complaints: Complaints, new_context: Any, house_app: ConcertApp) -> OpenBrowser:
    """Opens a browser that knows nothing yet; keyword arguments are Playwright's for a context.

    With ``address`` it goes there instead of straight to the service.
    """

    def open_browser(language: str = "en", address: str = "", **options: Any) -> Visitor:
        options = {"viewport": PHONE, "locale": LOCALES[language], **options}
        context = new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        complaints.listen(context)
        return Visitor(
            context=context,
            page=context.new_page(),
            complaints=complaints,
            words=Words(house_app, language),
            scripts=options.get("java_script_enabled", True),
            address=address,
        )

    return open_browser


@pytest.fixture
def visitor(open_browser: OpenBrowser) -> Visitor:
    """Somebody with a phone, in English."""
    return open_browser()
