"""What the monkey does to a way to a cluster is what it says, whatever is spoken there."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cloudweb.backend.ganeti.errors import Unreachable
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator.server import Simulator
from tests.functional.chaos.proxies import Proxies


def test_what_is_asked_on_a_way_that_loses_answers_is_done_and_found_when_it_is_healed(
    tmp_path: Path,
) -> None:
    with Simulator(["alpha"], port=0, tls=True) as simulator, Proxies() as proxies:
        proxy = proxies.open("alpha", urlsplit(simulator.url("alpha")).port or 0)
        ca_file = tmp_path / "alpha.pem"
        ca_file.write_text(simulator.certificate or "")
        url = f"https://127.0.0.1:{proxy.port}/alpha"
        with RapiClient(url, "cloudweb", "cloudweb", ca_file=str(ca_file)) as client:
            proxy.lose()
            with pytest.raises(Unreachable) as lost:
                client.rehearse_tag("sign", "cloudweb:lost")
            proxy.heal()
            job = client.find_job("cloudweb:lost")
    assert lost.value.maybe_sent
    assert job is not None
