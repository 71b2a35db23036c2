"""schemathesis calls the running application with what its OpenAPI document allows and forbids."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webtest.http import StopableWSGIServer

from cloudweb.models import SessionFactory
from cloudweb.settings import Settings
from tests.applications import application
from tests.functional.conformance.world import World

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("CLOUDWEB_FUZZ_SECONDS", "30"))


@pytest.fixture
def world(sessions: SessionFactory) -> World:
    return World(sessions)


@pytest.fixture
def url(settings: Settings, sessions: SessionFactory, world: World) -> Iterator[str]:
    """Where the application answers."""
    made = application(settings, sessions=sessions)
    server = StopableWSGIServer.create(made, host="127.0.0.1", threads=4)
    yield server.application_url.rstrip("/")
    server.shutdown()


def known(world: World) -> dict[str, list[Any]]:
    """What is there, by the names that paths and bodies have for it."""
    servers = [world.server(instance_name=f"snf-{n}").id for n in range(4)]
    images = [world.image(owner_id=world.owner_id, is_public=n > 0).id for n in range(2)]
    return {
        "server_id": servers,
        "serverRef": servers,
        "flavor_id": [world.flavor.id],
        "flavorRef": [world.flavor.id],
        "image_id": images,
        "imageRef": images,
        "member_id": [world.stranger_id],
        "key": ["role"],
    }


@pytest.mark.timeout(2 * SECONDS + 120)
def test_nothing_that_the_document_allows_or_forbids_breaks_the_api(
    url: str, world: World, tmp_path: Path, project: Path
) -> None:
    run = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            *("--config-file", HERE / "schemathesis.toml", "run", f"{url}/api/openapi.json"),
            *("--url", url, "--header", f"X-Auth-Token: {world.owner_token}"),
            *("--max-time", str(SECONDS), "--workers", "2", "--no-color"),
            *("--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(project),
            "SCHEMATHESIS_HOOKS": "tests.functional.fuzz.hooks",
            "CLOUDWEB_FUZZ_KNOWN": json.dumps(known(world)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    print(run.stdout)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
