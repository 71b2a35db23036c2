"""The part of the demonstration that is about networks: a server is put on one and taken off."""

from collections.abc import Callable
from typing import Any

from demo_site import Api, StepFailed, Steps, wait_for
from ganeti_lab import Cluster, on_master

CIDR = "192.168.77.0/24"


class Chapter:
    """A network of a user, and a server that comes and goes."""

    def __init__(self, steps: Steps, api: Api, cluster: Cluster, prefix: str, server: int) -> None:
        self._steps, self._api, self._cluster = steps, api, cluster
        self._prefix, self._server = prefix, server
        self._instance = f"{prefix}-{server}"

    def play(self, settled: Callable[[], bool]) -> None:
        with self._steps.step(f"POST /networks is answered 202 with {CIDR}"):
            order = {"network": {"name": "demo-net", "cidr": CIDR}}
            made = self._api.call("POST", "networks", order, status=202)["network"]
        network = int(made["id"])
        self._add(network, "a server is put on the network: made, connected, card with its MAC")
        with self._steps.step(
            "the firewall of the public card becomes ENABLED: Ganeti has the tag"
        ):
            profile = {"firewallProfile": {"profile": "ENABLED"}}
            self._api.call("POST", f"servers/{self._server}/action", profile, status=202)
            wait_for("the tag", lambda: "synnefo:network:0:protected" in self._lists("tags"))
            wait_for("the end of it", settled)
            shown = self._api.call("GET", f"servers/{self._server}", status=200)["server"]
            if self._card(shown, "public").get("firewallProfile") != "ENABLED":
                raise StepFailed("the API does not show the firewall.")
        with self._steps.step("the server is taken off the network, by the name of its card"):
            self._act(network, {"remove": {"serverRef": self._server}})
            wait_for("the card to be gone", lambda: not self._address(network))
            self._expect_cards(1)
        self._add(network, "and put on it again")
        with self._steps.step("DELETE /networks/N with the server on it: gone from the cluster"):
            self._api.call("DELETE", f"networks/{network}", status=204)
            wait_for("the network to go", lambda: self._ganeti_name(network) not in self._all())
            wait_for("the card to be gone", lambda: not self._address(network))
            self._expect_cards(1)
            wait_for("the end of it", settled)

    def _add(self, network: int, title: str) -> None:
        with self._steps.step(title):
            self._act(network, {"add": {"serverRef": self._server}})
            card = wait_for("a card with its MAC", lambda: self._address(network))
            seen = self._lists("nic.networks.names,nic.macs,nic.ips,nic.names")
            for text in (self._ganeti_name(network), card["mac"], card["ip"]):
                if text not in seen:
                    raise StepFailed(f"Ganeti shows {seen.strip()!r}, without {text}.")
            if self._ganeti_name(network) not in self._all():
                raise StepFailed("Ganeti does not list the network.")

    def _act(self, network: int, action: dict[str, Any]) -> None:
        self._api.call("POST", f"networks/{network}/action", action, status=202)

    def _address(self, network: int) -> dict[str, str]:
        """The server's card on the network with its MAC and address, as the API shows it."""
        shown = self._api.call("GET", f"servers/{self._server}", status=200)["server"]
        card = self._card(shown, network)
        if not card.get("mac"):
            return {}
        four = next(v["addr"] for v in card["values"] if v["version"] == 4)
        return {"mac": card["mac"], "ip": four}

    def _card(self, shown: dict[str, Any], network: int | str) -> dict[str, Any]:
        cards = shown.get("addresses", {"values": []})["values"]
        return next((card for card in cards if str(card["id"]) == str(network)), {})

    def _expect_cards(self, count: int) -> None:
        macs = self._lists("nic.macs").strip().split(",")
        if len(macs) != count:
            raise StepFailed(f"the instance has the cards {macs}.")

    def _ganeti_name(self, network: int) -> str:
        return f"{self._prefix}-net-{network}"

    def _lists(self, fields: str) -> str:
        return on_master(
            self._cluster, "gnt-instance", "list", "--no-headers", "-o", fields, self._instance
        )

    def _all(self) -> list[str]:
        listed = on_master(self._cluster, "gnt-network", "list", "--no-headers", "-o", "name")
        return listed.split()
