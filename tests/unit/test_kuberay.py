"""container/kuberay.yaml fits the schemas of Kubernetes, and of the KubeRay operator as far as it uses that.

No package carries the schema of KubeRay's RayCluster (ray.io/v1), so the fields that the example uses stand here, taken
from ``raycluster_types.go`` of KubeRay. With KUBERAY_CRD=FILE the operator's own ``ray.io_rayclusters.yaml`` is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from daemon.config.loader import load
from daemon.executor.ray_environment import PORTS

ROOT = Path(__file__).parents[2]
EXAMPLE = [found for found in yaml.safe_load_all((ROOT / "container" / "kuberay.yaml").read_text(encoding="utf-8"))]
KUBERNETES = "1.32"


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


COUNT = {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
TEMPLATE = _object(["spec"], metadata={"type": "object"}, spec={"type": "object"})
WORKERS = _object(
    ["groupName", "template"],
    groupName={"type": "string"}, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, numOfHosts=COUNT,
    rayStartParams=TEXTS, template=TEMPLATE,
)  # fmt: skip
HEAD = _object(["template"], serviceType={"type": "string"}, rayStartParams=TEXTS, template=TEMPLATE)
SPEC = _object(
    ["headGroupSpec"],
    rayVersion={"type": "string"}, headGroupSpec=HEAD, workerGroupSpecs={"type": "array", "items": WORKERS},
)  # fmt: skip
RAY_CLUSTER = _object(
    ["spec"],
    apiVersion={"const": "ray.io/v1"}, kind={"const": "RayCluster"}, metadata={"type": "object"}, spec=SPEC,
)  # fmt: skip


def one(kind: str) -> dict[str, Any]:
    (found,) = (each for each in EXAMPLE if each["kind"] == kind)
    return found


def pods() -> dict[str, dict[str, Any]]:
    spec = one("RayCluster")["spec"]
    groups = {"head": spec["headGroupSpec"]} | {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    return {name: group["template"]["spec"] for name, group in groups.items()}


def containers() -> dict[str, dict[str, Any]]:
    return {container["name"]: container for pod in pods().values() for container in pod["containers"]}


def operators_schema() -> dict[str, Any]:
    if not (path := os.environ.get("KUBERAY_CRD")):
        return RAY_CLUSTER
    crd = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == "v1")
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("kind", ["ConfigMap", "PersistentVolumeClaim", "NetworkPolicy"])
def test_objects_of_kubernetes_fit_their_schema(kind: str) -> None:
    kubernetes_validate.validate(one(kind), KUBERNETES, strict=True)


@pytest.mark.parametrize("name", pods())
def test_pods_fit_their_schema(name: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pods()[name]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_cluster_fits_its_schema() -> None:
    jsonschema.validate(one("RayCluster"), operators_schema())


def test_an_unknown_field_does_not_fit() -> None:
    group = {"groupName": "gpu", "template": {"spec": {}}, "replica": 2}
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.validate(group, WORKERS)


@pytest.mark.parametrize("pod", pods().values(), ids=pods())
def test_mounts_have_volumes_and_the_token_is_a_secret(pod: dict[str, Any]) -> None:
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume] == ["dualface-token"]


def test_the_configuration_is_valid_and_agrees_with_the_pods(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(one("ConfigMap")["data"]["config.yaml"], encoding="utf-8")
    settings = load(path)
    ports = range(settings.cluster.port, settings.cluster.port + PORTS)
    assert settings.cluster.engine == "ray"
    assert one("RayCluster")["spec"]["headGroupSpec"]["rayStartParams"] == {"port": str(settings.cluster.port)}
    for name in ("ray-head", "ray-worker"):
        assert containers()[name]["readinessProbe"]["tcpSocket"]["port"] in ports
    mounts = [mount["mountPath"] for mount in containers()["service"]["volumeMounts"]]
    assert str(settings.cluster.token_file.parent) in mounts
    assert str(settings.share.root) in mounts


def test_only_pods_of_the_cluster_reach_each_other() -> None:
    labels = {"matchLabels": {"ray.io/cluster": one("RayCluster")["metadata"]["name"]}}
    policy = one("NetworkPolicy")["spec"]
    assert policy["podSelector"] == labels
    assert policy["ingress"] == [{"from": [{"podSelector": labels}]}]


def test_commands_are_ours() -> None:
    assert one("RayCluster")["metadata"]["annotations"]["ray.io/overwrite-container-cmd"] == "true"
    commands = {name: container["command"][:2] for name, container in containers().items()}
    assert commands == {
        "ray-head": ["dualface", "cluster"], "service": ["dualface", "run"], "ray-worker": ["dualface", "node"],
    }  # fmt: skip
