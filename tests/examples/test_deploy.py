"""The examples for containers name what there is: settings, paths that answer, figures that are exported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from router.settings import Settings
from tests.http.daemons import Served, serve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: dict[str, dict[str, Any]] = {
    each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
DEFAULTS = Settings()
SECRET = "scraper"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(tokens=f"client:{SECRET}") as served:
        yield served


def is_a_setting(name: str) -> bool:
    return name.startswith("ROUTER_") and name.removeprefix("ROUTER_").lower() in Settings.model_fields


def test_every_variable_is_a_setting() -> None:
    given = [*COMPOSE["services"]["router"]["environment"], *(each["name"] for each in CONTAINER["env"])]
    given += re.findall(r"^ENV (\w+)=", DOCKERFILE, re.MULTILINE)
    assert len(given) >= 5
    assert [name for name in given if not is_a_setting(name)] == []
    told = re.findall(r"ROUTER_[A-Z]+", DOCKERFILE + (DEPLOY / "kubernetes.yaml").read_text())
    assert [name for name in told if not is_a_setting(name)] == []


def test_what_stops_a_router_waits_longer_than_it_drains() -> None:
    assert int(COMPOSE["services"]["router"]["stop_grace_period"].removesuffix("s")) > DEFAULTS.drain
    assert POD["spec"]["terminationGracePeriodSeconds"] > DEFAULTS.drain


def test_every_port_is_the_daemons_own() -> None:
    (published,) = COMPOSE["services"]["router"]["ports"]
    first, last = map(int, published.partition(":")[0].split("-"))
    assert published.endswith(f":{DEFAULTS.port}")
    assert last - first + 1 == COMPOSE["services"]["router"]["deploy"]["replicas"]
    (port,) = CONTAINER["ports"]
    (service,) = KUBERNETES["Service"]["spec"]["ports"]
    probes = [CONTAINER[name]["httpGet"]["port"] for name in ("livenessProbe", "readinessProbe")]
    assert {port["containerPort"], service["targetPort"], *probes} == {DEFAULTS.port}
    assert f"EXPOSE {DEFAULTS.port}" in DOCKERFILE
    (scraped,) = KUBERNETES["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert scraped["port"] == port["name"]


def test_every_probe_is_answered_without_a_token(served: Served) -> None:
    paths = [CONTAINER[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")]
    command = COMPOSE["services"]["router"]["healthcheck"]["test"][-1]
    checked = re.search(rf"http://127\.0\.0\.1:{DEFAULTS.port}(/\w+)", command)
    assert checked
    for path in (*paths, checked[1]):
        assert httpx.get(served.daemon.url + path).status_code == 200, path


def test_every_figure_that_is_asked_for_is_exported(served: Served) -> None:
    (scraped,) = KUBERNETES["PodMonitor"]["spec"]["podMetricsEndpoints"]
    url = served.daemon.url + scraped["path"]
    assert httpx.get(url).status_code == 401, "so a token must be given"
    assert scraped["authorization"]["type"] == "Bearer"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {SECRET}"})
    exported = {family.name for family in text_string_to_metric_families(answer.text)}
    queries = [trigger["metadata"]["query"] for trigger in KUBERNETES["ScaledObject"]["spec"]["triggers"]]
    aged = [query for query in queries if "_age_" in query]
    assert aged
    assert all("unless on (queue) (guild_router_queue_paused == 1)" in query for query in aged), "no router helps those"
    asked = {name for query in queries for name in re.findall(r"guild_router_\w+", query)}
    assert asked
    assert asked <= exported


def test_what_belongs_together_has_one_name() -> None:
    labels = POD["metadata"]["labels"]
    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["Service"]["spec"]["selector"] == labels
    assert KUBERNETES["PodMonitor"]["spec"]["selector"]["matchLabels"] == labels
    scaled = KUBERNETES["ScaledObject"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == KUBERNETES["Deployment"]["metadata"]["name"]
    assert scaled["minReplicaCount"] >= 2
    assert scaled["minReplicaCount"] <= scaled["maxReplicaCount"]


def test_the_image_is_made_of_what_there_is() -> None:
    for sources in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    assert COMPOSE["services"]["router"]["build"] == {"context": "../..", "dockerfile": "examples/deploy/Dockerfile"}
