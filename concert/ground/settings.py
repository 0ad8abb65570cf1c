"""Every setting of the service, read from the environment once, at start."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ONE_SERVER = ("redis://", "rediss://", "unix://")
SEVERAL_SERVERS = ("redis+cluster://", "rediss+cluster://", "redis+sentinel://")


class SettingsError(Exception):
    """The environment is incomplete or wrong; the message names each variable."""


class Settings(BaseSettings):
    """The service's settings. ``docs/settings.md`` describes each; a test compares the two."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    # Where things are.
    database_url: str = Field("", alias="DATABASE_URL")
    migration_database_url: str = Field("", alias="MIGRATION_DATABASE_URL")
    redis_url: str = Field("", alias="REDIS_URL")
    jobs_redis_url: str = Field("", alias="JOBS_REDIS_URL")
    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(8000, alias="PORT", ge=1, le=65535)
    env: Literal["local", "production"] = Field("local", alias="CONCERT_ENV")
    data_dir: Path = Field(Path(".concert"), alias="CONCERT_DATA_DIR")
    timezone: str = Field("Asia/Seoul", alias="CONCERT_TIMEZONE")
    trusted_proxies: int = Field(0, alias="CONCERT_TRUSTED_PROXIES", ge=0, le=10)

    # Secrets.
    secret_keys: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CONCERT_SECRET_KEYS")
    organiser_key: str = Field("", alias="CONCERT_ORGANISER_KEY")
    ticket_keys: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CONCERT_TICKET_KEYS")
    user_token_days: int = Field(90, alias="CONCERT_USER_TOKEN_DAYS", ge=1, le=3650)
    queue_token_hours: int = Field(24, alias="CONCERT_QUEUE_TOKEN_HOURS", ge=1, le=24 * 30)

    # Staff.
    public_url: str = Field("", alias="CONCERT_PUBLIC_URL")
    appeal_address: str = Field("", alias="CONCERT_APPEAL_ADDRESS", max_length=200)
    staff_link_minutes: int = Field(15, alias="CONCERT_STAFF_LINK_MINUTES", ge=1, le=1440)
    staff_session_hours: int = Field(12, alias="CONCERT_STAFF_SESSION_HOURS", ge=1, le=24 * 30)
    staff_idle_minutes: int = Field(120, alias="CONCERT_STAFF_IDLE_MINUTES", ge=1, le=24 * 60)

    # The sale.
    hold_seconds: int = Field(300, alias="HOLD_SECONDS", ge=1, le=86_400)
    max_seats_per_user: int = Field(4, alias="MAX_SEATS_PER_USER", ge=1, le=100)
    rehold_seconds: int = Field(10, alias="REHOLD_SECONDS", ge=0, le=86_400)
    max_lapsed_holds: int = Field(3, alias="MAX_LAPSED_HOLDS", ge=1, le=1000)

    # Size and protection.
    web_workers: int = Field(2, alias="CONCERT_WEB_WORKERS", ge=1, le=256)
    web_threads: int = Field(128, alias="CONCERT_WEB_THREADS", ge=1, le=1024)
    database_pool_size: int = Field(12, alias="CONCERT_DATABASE_POOL_SIZE", ge=1, le=500)
    session_options: Literal["connection", "role"] = Field(
        "connection", alias="CONCERT_SESSION_OPTIONS"
    )
    prepared_statements: bool = Field(True, alias="CONCERT_PREPARED_STATEMENTS")
    max_body_bytes: int = Field(64 * 1024, alias="CONCERT_MAX_BODY_BYTES", ge=1024)
    new_users_per_minute: int = Field(6000, alias="CONCERT_NEW_USERS_PER_MINUTE", ge=1)
    key_guesses_per_minute: int = Field(20, alias="CONCERT_KEY_GUESSES_PER_MINUTE", ge=1)
    charges_per_minute: int = Field(60, alias="CONCERT_CHARGES_PER_MINUTE", ge=1)
    holds_per_minute: int = Field(60, alias="CONCERT_HOLDS_PER_MINUTE", ge=1)
    stream_openings_per_minute: int = Field(60, alias="CONCERT_STREAM_OPENINGS_PER_MINUTE", ge=1)
    streams_per_token: int = Field(4, alias="CONCERT_STREAMS_PER_TOKEN", ge=1)
    streams_per_address: int = Field(1500, alias="CONCERT_STREAMS_PER_ADDRESS", ge=1)
    max_streams: int = Field(110, alias="CONCERT_MAX_STREAMS", ge=1)
    drain_seconds: float = Field(1.0, alias="CONCERT_DRAIN_SECONDS", ge=0, le=600)

    # Seeing it run.
    metrics: bool = Field(False, alias="CONCERT_METRICS")
    metrics_token: str = Field("", alias="CONCERT_METRICS_TOKEN")
    metrics_directory: str = Field("", alias="PROMETHEUS_MULTIPROC_DIR")
    traces_endpoint: str = Field("", alias="OTEL_EXPORTER_OTLP_ENDPOINT")

    # Logs.
    log_format: Literal["auto", "console", "json"] = Field("auto", alias="CONCERT_LOG_FORMAT")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="CONCERT_LOG_LEVEL"
    )

    @field_validator("secret_keys", "ticket_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("secret_keys")
    @classmethod
    def _keys_are_long_enough(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < 32 for key in keys):
            raise ValueError("each key needs at least 32 characters (try: openssl rand -hex 32)")
        return keys

    @field_validator("ticket_keys")
    @classmethod
    def _keys_are_of_our_form(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9_-]{43}", key) for key in keys):
            raise ValueError("each key is 43 characters, as concert key ticket makes them")
        return keys

    @field_validator("database_url", "migration_database_url")
    @classmethod
    def _is_postgresql(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str) -> str:
        if url and not url.startswith((*ONE_SERVER, *SEVERAL_SERVERS)):
            raise ValueError(
                "must start with redis://, rediss:// or unix://, "
                "or with redis+cluster:// or redis+sentinel://"
            )
        return url

    @field_validator("jobs_redis_url")
    @classmethod
    def _is_one_redis(cls, url: str) -> str:
        if url and not url.startswith(ONE_SERVER):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return url

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("must start with https:// or http://")
        return url.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name!r} is not a time zone name") from error
        return name

    @model_validator(mode="after")
    def _jobs_have_a_server(self) -> Settings:
        if self.redis_url.startswith(SEVERAL_SERVERS) and not self.jobs_redis_url:
            raise ValueError(
                "JOBS_REDIS_URL must be set where REDIS_URL is a cluster: jobs need one server"
            )
        return self

    @model_validator(mode="after")
    def _production_has_secrets(self) -> Settings:
        if self.env == "production":
            required = {
                "DATABASE_URL": self.database_url,
                "REDIS_URL": self.redis_url,
                "CONCERT_SECRET_KEYS": self.secret_keys,
                "CONCERT_ORGANISER_KEY": self.organiser_key,
            }
            missing = [name for name, value in required.items() if not value]
            if missing:
                raise ValueError(f"{', '.join(missing)} must be set when CONCERT_ENV=production")
            if len(self.organiser_key) < 16:
                raise ValueError("CONCERT_ORGANISER_KEY needs at least 16 characters")
        return self

    @property
    def url_of_jobs(self) -> str:
        """The Redis of the jobs: the rooms', unless another one is named."""
        return self.jobs_redis_url or self.redis_url

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone in which a performance's date is counted."""
        return ZoneInfo(self.timezone)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; keyword arguments (field names) win over it.

    Raises:
        SettingsError: a variable is missing or wrong; the message names it.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    names = {name: str(field.alias) for name, field in Settings.model_fields.items()}
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{names.get(where, where)}: {reason}" if where else reason
