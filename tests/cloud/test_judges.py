"""The tools that know the clouds' own rules, on what we have written for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cloud.picture import PROJECT

BIN = Path(sys.executable).parent
# What checkov asks of Kubernetes, and is not so here, with the reason.
NOT_SO = {
    "CKV_K8S_9": "worker, upkeep and clock serve nobody, and our proxy is ready when its web is",
    "CKV_K8S_11": "a processor that is free may be used; a limit would slow a sale down",
    "CKV_K8S_15": "a registry that is down must not keep a pod from starting again",
    "CKV_K8S_35": "settings and secrets come from the environment, as everywhere",
    "CKV_K8S_40": "the user of nginx's image is 101",
    "CKV_K8S_43": "the digest is that of whoever builds the image",
}


def judged(program: str, *arguments: str | Path) -> None:
    told = subprocess.run(
        [BIN / program, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_cfn_lint_finds_nothing() -> None:
    judged(
        "cfn-lint", "--regions", "ap-northeast-2", "eu-central-1", "--", "deploy/aws/concert.yaml"
    )


def test_checkov_finds_nothing_in_the_template() -> None:
    judged("checkov", "--framework", "cloudformation", "--skip-download", "--compact", "--quiet",
           "--file", "deploy/aws/concert.yaml")  # fmt: skip


def test_checkov_finds_nothing_else_in_the_manifests() -> None:
    judged("checkov", "--framework", "kubernetes", "--skip-download", "--compact", "--quiet",
           "--directory", "deploy/kubernetes", "--skip-check", ",".join(NOT_SO))  # fmt: skip


def test_the_manifests_are_what_kubernetes_knows() -> None:
    files = sorted((PROJECT / "deploy/kubernetes").glob("*.yaml"))
    judged("kubernetes-validate", "--strict", *files)


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    judged("zizmor", "--offline", "--no-progress", ".github/workflows")
