"""Settings: read from the environment, named when they are wrong, described in one page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from concert.factory import create_app
from concert.ground.settings import Settings, SettingsError, load_settings
from concert.ground.signing import sign, verify

PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"
PRODUCTION = {
    "CONCERT_ENV": "production",
    "DATABASE_URL": "postgresql://concert@db/concert",
    "REDIS_URL": "redis://redis:6379/0",
    "CONCERT_SECRET_KEYS": "k" * 32,
    "CONCERT_ORGANISER_KEY": "o" * 16,
}
OLD, NEW = "the key of last year which still verifies", "the key of this year which signs by now"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of our variables is set."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)


def test_the_page_describes_every_setting_with_its_default_and_no_other() -> None:
    described = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    )
    usual = {}
    for field in Settings.model_fields.values():
        default = field.default
        usual[str(field.alias)] = "empty" if default in ("", ()) else f"`{default}`"
    assert described == usual


WRONG = [
    ("DATABASE_URL", "mysql://x"),
    ("REDIS_URL", "http://x"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "eight"),
    ("CONCERT_ENV", "staging"),
    ("CONCERT_TIMEZONE", "Mars/Olympus"),
    ("CONCERT_TIMEZONE", "../etc/passwd"),
    ("CONCERT_TRUSTED_PROXIES", "-1"),
    ("CONCERT_SECRET_KEYS", "short"),
    ("CONCERT_SECRET_KEYS", "k" * 32 + ",short"),
    ("CONCERT_USER_TOKEN_DAYS", "0"),
    ("CONCERT_QUEUE_TOKEN_HOURS", "721"),
    ("HOLD_SECONDS", "0"),
    ("HOLD_SECONDS", "1.5"),
    ("MAX_SEATS_PER_USER", "101"),
    ("CONCERT_WEB_WORKERS", "0"),
    ("CONCERT_WEB_THREADS", "0"),
    ("CONCERT_DATABASE_POOL_SIZE", "0"),
    ("CONCERT_MAX_BODY_BYTES", "1"),
    ("CONCERT_NEW_USERS_PER_MINUTE", "0"),
    ("CONCERT_MAX_STREAMS", "0"),
    ("CONCERT_LOG_FORMAT", "xml"),
    ("CONCERT_LOG_LEVEL", "loud"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load_settings()


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("HOLD_SECONDS", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "PORT: " in str(caught.value) and "HOLD_SECONDS: " in str(caught.value)


def test_nothing_has_to_be_set_on_ones_own_machine() -> None:
    settings = load_settings()
    assert (settings.hold_seconds, settings.max_seats_per_user, settings.port) == (300, 4, 8000)


def test_the_environment_says_what_the_settings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("CONCERT_SECRET_KEYS", f" {NEW} , {OLD},")
    settings = load_settings()
    assert (settings.port, settings.secret_keys) == (8123, (NEW, OLD))


@pytest.mark.parametrize("missing", [name for name in PRODUCTION if name != "CONCERT_ENV"])
def test_production_refuses_to_start_without_its_servers_and_secrets(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    assert load_settings().env == "production"
    monkeypatch.delenv(missing)
    with pytest.raises(SettingsError, match=f"{missing} must be set when CONCERT_ENV=production"):
        load_settings()


def test_production_refuses_an_organiser_key_that_can_be_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**PRODUCTION, "CONCERT_ORGANISER_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="CONCERT_ORGANISER_KEY needs at least 16 characters"):
        load_settings()


def test_an_app_without_a_key_to_sign_with_does_not_start() -> None:
    with pytest.raises(Exception, match="CONCERT_SECRET_KEYS"):
        create_app(load_settings(redis_url="redis://127.0.0.1:1"))


def test_the_first_key_signs_and_every_key_verifies(settings: Settings) -> None:
    def app(*keys: str) -> object:
        return create_app(settings.model_copy(update={"secret_keys": keys})).app_context()

    with app(OLD):
        old = sign("user", 60, {"sub": "x"})
    with app(NEW, OLD):
        assert verify(old, "user", ["sub"])["sub"] == "x"
        new = sign("user", 60, {"sub": "y"})
    with app(NEW):
        assert verify(new, "user", ["sub"])["sub"] == "y"
        with pytest.raises(Exception, match="not valid"):
            verify(old, "user", ["sub"])


def test_no_setting_is_read_but_through_the_settings() -> None:
    package = PAGE.parent.parent / "concert"
    readers = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"os\.environ(\.get|\[)|os\.getenv", file.read_text())
        and not file.is_relative_to(package / "local")
    }
    assert readers == set()
    assert os.environ.get("CONCERT_ENV") is None
