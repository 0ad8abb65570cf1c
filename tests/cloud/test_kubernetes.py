"""deploy/kubernetes: the same processes, commands and settings as docker-compose.yml."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.cloud import picture

FILES = sorted((picture.PROJECT / "deploy/kubernetes").glob("*.yaml"))
OBJECTS = [one for file in FILES for one in yaml.safe_load_all(file.read_text())]
RQ = ("worker", "upkeep", "clock")


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] == kind}


DEPLOYMENTS = of_kind("Deployment")
PODS: dict[str, dict[str, Any]] = {
    name: one["spec"]["template"]["spec"] for name, one in DEPLOYMENTS.items()
}
CONTAINERS: dict[str, dict[str, Any]] = {
    one["name"]: one
    for pod in PODS.values()
    for one in [*pod.get("initContainers", []), *pod["containers"]]
}


def test_the_processes_are_those_of_the_compose_file() -> None:
    assert set(CONTAINERS) == picture.PROCESSES
    for name, one in CONTAINERS.items():
        # `command` would replace the image's entry point; our proxy's image has none.
        assert one.get("command" if name == "proxy" else "args") == picture.command(name), name
        assert ("command" in one) is (name == "proxy")


def test_the_settings_are_those_of_the_compose_file() -> None:
    [settings] = of_kind("ConfigMap").values()
    for name in picture.APP:
        one = CONTAINERS[name]
        assert one["envFrom"] == [{"configMapRef": {"name": "concert"}}]
        plain = {pair["name"]: pair["value"] for pair in one["env"] if "value" in pair}
        assert settings["data"] | plain == picture.settings(name), name
        hidden = {
            pair["name"]: pair["valueFrom"]["secretKeyRef"]["key"]
            for pair in one["env"]
            if "valueFrom" in pair
        }
        assert set(hidden) == picture.secrets(name), name
        assert all(key == name for name, key in hidden.items() if name != "RQ_REDIS_URL")
        assert hidden.get("RQ_REDIS_URL", "JOBS_REDIS_URL") == "JOBS_REDIS_URL"
    assert "env" not in CONTAINERS["proxy"]


def test_nothing_may_more_than_in_the_compose_file() -> None:
    for name, one in CONTAINERS.items():
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"], name
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert [mount["mountPath"] for mount in one["volumeMounts"]] == ["/tmp"]
    for pod in PODS.values():
        assert pod["securityContext"]["runAsUser"] == 10001
        assert not pod["automountServiceAccountToken"]


def test_every_process_is_asked_for_its_health() -> None:
    for name in RQ:
        for probe in ("startupProbe", "livenessProbe"):
            told = CONTAINERS[name][probe]["exec"]["command"]
            check = picture.health(name)
            assert check and ["CMD", *told] == check["command"]
    for name in ("web", "live"):
        one = CONTAINERS[name]
        assert one["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert one["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert CONTAINERS["proxy"]["livenessProbe"]["httpGet"]["path"] == "/proxy-health"


def test_there_is_time_to_end_before_and_after_everybody_has_heard() -> None:
    for name, pod in PODS.items():
        needed = picture.seconds(picture.SERVICES[name]["stop_grace_period"])
        pauses = [
            one.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            for one in pod["containers"]
        ]
        assert pod["terminationGracePeriodSeconds"] >= needed + max(pauses)
        assert min(pauses) >= (5 if name in ("web", "live") else 0)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_an_upgrade_and_a_drained_node_take_one_at_a_time(name: str) -> None:
    strategy = DEPLOYMENTS[name]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}
    budget = of_kind("PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == DEPLOYMENTS[name]["spec"]["selector"]


def test_web_and_live_scale_and_one_may_always_fail() -> None:
    scalers = of_kind("HorizontalPodAutoscaler")
    assert set(scalers) == {"web", "live"}
    for name, one in scalers.items():
        assert one["spec"]["scaleTargetRef"]["name"] == name
        assert 2 <= one["spec"]["minReplicas"] < one["spec"]["maxReplicas"]
        # Two who say how many there are would fight.
        assert "replicas" not in DEPLOYMENTS[name]["spec"]
        for container in PODS[name]["containers"]:
            assert "cpu" in container["resources"]["requests"]


def test_the_ingress_sends_to_live_what_our_proxy_sends_there() -> None:
    [ingress] = of_kind("Ingress").values()
    [rule] = ingress["spec"]["rules"]
    live = {
        one["path"] + ("*" if one["pathType"] == "Prefix" else "")
        for one in rule["http"]["paths"]
        if one["backend"]["service"]["name"] == "live"
    }
    assert live == picture.paths_of_live()
    ports = {name: one["spec"]["ports"][0]["port"] for name, one in of_kind("Service").items()}
    assert ports == {"web": 8080, "live": 8001}
