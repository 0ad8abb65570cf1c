"""deploy/aws/concert.yaml: built in moto, read back, and compared with docker-compose.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from tests.cloud import picture

PATH = picture.PROJECT / "deploy/aws/concert.yaml"
REGION = "ap-northeast-2"
# These moto does not build from a template: for them there are the linters and the tests of the text below.
NOT_IN_MOTO = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::ElastiCache::ParameterGroup",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
}


class Short(yaml.SafeLoader):
    """Reads `!Ref x` as `Ref x`, and so on."""


def _short(loader: Any, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return f"{tag} {node.value}"
    return [tag, *loader.construct_sequence(node, deep=True)]


Short.add_multi_constructor("", _short)
TEMPLATE: dict[str, Any] = yaml.load(PATH.read_text(), Short)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == kind}


def for_moto() -> str:
    """The template, but for what moto stumbles over: it hands on the database's settings as an object,
    and knows no secrets, so that each reference to one becomes its name."""
    text, count = re.subn(r"ValueFrom: !Ref (\w+)", r"ValueFrom: \1", PATH.read_text())
    assert count
    text, count = re.subn(
        r"^ +DBParameterGroupName: !Ref DatabaseSettings\n", "", text, flags=re.MULTILINE
    )
    assert count == 1
    return text


@dataclass
class Built:
    size: str
    made: list[dict[str, Any]]
    containers: dict[str, dict[str, Any]]
    services: dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["club", "theatre", "stadium"])
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        certificate = boto3.client("acm").request_certificate(DomainName="tickets.example")
        given = {
            "Size": request.param,
            "AppImage": "app",
            "ProxyImage": "proxy",
            "CertificateArn": certificate["CertificateArn"],
            "PublicUrl": picture.PUBLIC_URL,
            "AlarmEmail": "operator@tickets.example",
        }
        formation = boto3.client("cloudformation")
        formation.create_stack(
            StackName="concert",
            TemplateBody=for_moto(),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        made = formation.describe_stack_resources(StackName="concert")["StackResources"]
        ecs = boto3.client("ecs")
        containers: dict[str, dict[str, Any]] = {}
        for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
            task = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
            containers |= {one["name"]: one for one in task["containerDefinitions"]}
        cluster = ecs.list_clusters()["clusterArns"][0]
        found = ecs.describe_services(
            cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"]
        )["services"]
        names = {
            one["PhysicalResourceId"].split("/")[-1]: one["LogicalResourceId"]
            for one in made
            if one.get("ResourceType") == "AWS::ECS::Service"
        }
        services = {names[one["serviceName"]]: one for one in found}
        yield Built(request.param, made, containers, services)


def test_whatever_moto_knows_is_built(built: Built) -> None:
    made = {one.get("LogicalResourceId") for one in built.made} - {None}
    missing = {RESOURCES[name]["Type"] for name in set(RESOURCES) - made}
    assert missing == NOT_IN_MOTO


def test_the_processes_are_those_of_the_compose_file(built: Built) -> None:
    assert set(built.containers) == picture.PROCESSES
    for name, one in built.containers.items():
        assert one.get("command") == picture.command(name), name
        assert one["image"] == ("proxy" if name == "proxy" else "app")
        assert one["essential"] is (name != "migrate")
        # The image's entry point empties the directory of the figures.
        assert "entryPoint" not in one


def test_the_settings_are_those_of_the_compose_file(built: Built) -> None:
    for name, one in built.containers.items():
        plain = {pair["name"]: pair["value"] for pair in one["environment"]}
        assert plain == picture.settings(name), name
        hidden = {pair["name"]: pair["valueFrom"] for pair in one.get("secrets", [])}
        assert set(hidden) == picture.secrets(name), name
        assert {*plain, *hidden} <= picture.documented() | {"RQ_REDIS_URL"}
        secrets = of_type("AWS::SecretsManager::Secret")
        assert set(hidden.values()) <= set(secrets)
        if "RQ_REDIS_URL" in hidden:
            assert hidden["RQ_REDIS_URL"] == hidden["JOBS_REDIS_URL"]


def test_limits_and_health_are_those_of_the_compose_file(built: Built) -> None:
    for name, one in built.containers.items():
        service = picture.SERVICES[name]
        nofile = {
            limit["name"]: {"soft": limit["softLimit"], "hard": limit["hardLimit"]}
            for limit in one.get("ulimits", [])
        }
        assert nofile == service.get("ulimits", {}), name
        assert one["stopTimeout"] == picture.seconds(service["stop_grace_period"]), name
        assert one.get("healthCheck") == picture.health(name), name


def test_nothing_may_more_than_in_the_compose_file(built: Built) -> None:
    for name, one in built.containers.items():
        assert one["readonlyRootFilesystem"] and picture.SERVICES[name]["read_only"]
        assert one["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
        assert [mount["containerPath"] for mount in one["mountPoints"]] == ["/tmp"]
        assert name == "proxy" or one["user"] == "10001:10001"
    assert "Policies" not in RESOURCES["TaskRole"]["Properties"]


def test_services_are_as_many_as_the_size_says_and_reached_by_nobody(built: Built) -> None:
    size = TEMPLATE["Mappings"]["Sizes"][built.size]
    counts = {name: one["desiredCount"] for name, one in built.services.items()}
    assert counts == {
        "WebService": size["WebLeast"],
        "LiveService": size["LiveLeast"],
        "WorkerService": size["Spares"],
        "UpkeepService": 1,
        "ClockService": size["Spares"],
    }
    # A zone may fail, and an upgrade during a sale needs two.
    assert min(counts["WebService"], counts["LiveService"]) >= 2
    routes = boto3.client("ec2").describe_route_tables()["RouteTables"]
    outside = {
        association.get("SubnetId")
        for table in routes
        if any(route.get("GatewayId", "").startswith("igw-") for route in table["Routes"])
        for association in table["Associations"]
    }
    for one in of_type("AWS::ECS::Service").values():
        network = one["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert network["Subnets"] == ["!Ref InsideA", "!Ref InsideB"]
    inside = {
        one["PhysicalResourceId"]
        for one in built.made
        if one.get("LogicalResourceId") in ("InsideA", "InsideB")
    }
    assert len(inside) == 2 and not inside & outside


def test_the_balancer_sends_to_live_what_our_proxy_sends_there(built: Built) -> None:
    balancers = boto3.client("elbv2")
    groups = {
        one["TargetGroupArn"]: one for one in balancers.describe_target_groups()["TargetGroups"]
    }
    assert {(one["Port"], one["HealthCheckPath"]) for one in groups.values()} == {
        (8080, "/readyz"),
        (8001, "/readyz"),
    }
    [balancer] = balancers.describe_load_balancers()["LoadBalancers"]
    found = balancers.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    [listener] = [one for one in found if one["Port"] == 443]
    rules = {
        one["Priority"]: one
        for one in balancers.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    }
    assert set(rules) == {"1", "2", "default"}
    # Whom the app believes, nobody outside may have said.
    assert rules["1"]["Conditions"][0]["HttpHeaderConfig"]["HttpHeaderName"] == "X-Forwarded-Host"
    assert rules["1"]["Actions"][0]["FixedResponseConfig"]["StatusCode"] == "400"
    [live] = rules["2"]["Conditions"]
    assert set(live["PathPatternConfig"]["Values"]) == picture.paths_of_live()
    assert groups[rules["2"]["Actions"][0]["TargetGroupArn"]]["Port"] == 8001
    assert groups[rules["default"]["Actions"][0]["TargetGroupArn"]]["Port"] == 8080


def test_postgresql_is_that_of_the_compose_file_with_a_standby(built: Built) -> None:
    [database] = boto3.client("rds").describe_db_instances()["DBInstances"]
    assert f"postgres:{database['EngineVersion']}-" in picture.SERVICES["postgres"]["image"]
    assert database["MultiAZ"] and database["StorageEncrypted"]
    assert not database["PubliclyAccessible"]
    assert database["DBInstanceClass"] == TEMPLATE["Mappings"]["Sizes"][built.size]["Database"]
    written = RESOURCES["Database"]["Properties"]
    assert written["DeletionProtection"]
    assert written["DBParameterGroupName"] == "!Ref DatabaseSettings"
    assert (
        RESOURCES["DatabaseSettings"]["Properties"]["Family"]
        == f"postgres{database['EngineVersion']}"
    )


def test_valkey_throws_nothing_away_and_rooms_have_a_cluster() -> None:
    groups = of_type("AWS::ElastiCache::ReplicationGroup")
    settings = of_type("AWS::ElastiCache::ParameterGroup")
    told = picture.SERVICES["redis"]["command"]
    policy = told[told.index("--maxmemory-policy") + 1]
    for name, mode in (("Rooms", "enabled"), ("Jobs", "disabled")):
        one = groups[name]
        assert (one["Engine"], one["ClusterMode"]) == ("valkey", mode)
        assert one["TransitEncryptionEnabled"] and one["AtRestEncryptionEnabled"]
        assert one["AutomaticFailoverEnabled"] and one["ReplicasPerNodeGroup"] >= 1
        mine = settings[one["CacheParameterGroupName"].removeprefix("!Ref ")]["Properties"]
        assert mine["maxmemory-policy"] == policy
        assert mine.get("cluster-enabled", "no") == ("yes" if mode == "enabled" else "no")


def test_addresses_lead_to_the_proxy_the_database_the_cluster_and_the_plain_one() -> None:
    addresses = {
        name: one["SecretString"]
        for name, one in of_type("AWS::SecretsManager::Secret").items()
        if "SecretString" in one
    }
    bare = {
        name: re.sub(r"\{\{resolve:secretsmanager:\$\{(\w+)\}:[\w:]+\}\}", r"\1", text)
        for name, text in addresses.items()
    }
    assert bare == {
        "DatabaseUrl": "!Sub postgresql://concert:DatabasePassword@${Pool.Endpoint}:5432/concert?sslmode=require",
        "MigrationUrl": "!Sub postgresql://concert:DatabasePassword@${Database.Endpoint.Address}:5432/concert?sslmode=require",
        "RoomsUrl": "!Sub rediss+cluster://:ValkeyPassword@${Rooms.ConfigurationEndPoint.Address}:6379",
        "JobsUrl": "!Sub rediss://:ValkeyPassword@${Jobs.PrimaryEndPoint.Address}:6379/0",
    }
    for one in of_type("AWS::SecretsManager::Secret").values():
        assert one["KmsKeyId"] == "!Ref Key"


def test_the_parts_that_fans_meet_scale_and_every_part_has_an_alarm() -> None:
    targets = of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    policies = of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    assert set(targets) == {"WebScaling", "LiveScaling"}
    assert {one["ScalingTargetId"] for one in policies} == {f"!Ref {name}" for name in targets}
    assert {one["PolicyType"] for one in policies} == {"TargetTrackingScaling"}
    for name, one in targets.items():
        part = name.removesuffix("Scaling")
        assert one["ResourceId"] == f"!Sub service/${{Cluster}}/${{{part}Service.Name}}"
    for size in TEMPLATE["Mappings"]["Sizes"].values():
        assert size["WebLeast"] < size["WebMost"] and size["LiveLeast"] < size["LiveMost"]
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert all(one["AlarmActions"] == ["!Ref Alarms"] for one in alarms.values())
    watched = {
        "WebUnready",
        "LiveUnready",
        "WorkerMissing",
        "UpkeepMissing",
        "ClockMissing",
        "DatabaseProcessor",
        "DatabaseDisk",
        "RoomsMemory",
        "JobsMemory",
        "Errors",
        "BalancerErrors",
    }
    assert set(alarms) == {f"{name}Alarm" for name in watched}


def test_who_starts_the_parts_may_read_what_they_need_and_no_more() -> None:
    [policy] = RESOURCES["StartRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    wide = [one["Action"] for one in statements if one["Resource"] == "*"]
    assert wide == ["ecr:GetAuthorizationToken"]
    [readable] = [one for one in statements if one["Action"] == "secretsmanager:GetSecretValue"]
    handed_out = set(re.findall(r"ValueFrom: (!Ref \w+)", PATH.read_text()))
    assert set(readable["Resource"]) == handed_out
