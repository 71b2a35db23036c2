"""Plays the administrator's guide on two real Ganeti clusters, one of two nodes, step by step.

Backends that are added drained, placement, networks across clusters, draining, a failover and
changes with gnt-instance and gnt-network behind our back, what reconciling finds and mends, and
removal. Needs root; brings up what it needs and takes it down; status 1 if any step fails.
"""

import json
import secrets
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from demo_ganeti import ready, web_ini
from demo_site import ROOT, Api, Site, StepFailed, Steps, wait_for
from ganeti_lab import Cluster, LabFailed, clusters, is_root, on_master

sys.path.insert(0, str(ROOT))

from tests.ports import free_port
from tests.services import MissingService, Services

CLUSTERS = {"story94": 1, "story95": 2}
PREFIX = "story"
PUBLIC, PRIVATE = "203.0.113.0/24", "192.168.77.0/24"
OWNER = "user@example.org"
OPEN = ("pending", "submitting", "submitted", "running")
WAIT_S = 180.0
"""For what several jobs on a busy machine lead to."""


class World:
    """The installation and both clusters, and what everybody can see of them."""

    def __init__(self, site: Site, api: Api, steps: Steps, small: Cluster, large: Cluster) -> None:
        self.site, self.api, self.steps = site, api, steps
        self.small, self.large = small, large
        self.order: dict[str, Any] = {}

    @property
    def both(self) -> tuple[Cluster, Cluster]:
        return self.small, self.large

    def json(self, *arguments: str) -> Any:
        """What a command prints for programs."""
        return json.loads(self.site.cloudweb(*arguments, "--json"))

    def refused(self, expected: str, *arguments: str, given: str = "") -> None:
        """A command is refused, in these words."""
        try:
            self.site.cloudweb(*arguments, given=given)
        except StepFailed as failure:
            if expected not in str(failure):
                raise StepFailed(f"refused otherwise than '{expected}': {failure}") from None
            return
        raise StepFailed(f"'{' '.join(arguments)}' was not refused.")

    def make(self, count: int) -> list[int]:
        """So many servers that run."""
        made = [
            int(
                self.api.call("POST", "servers", {"server": self.order}, status=202)["server"]["id"]
            )
            for _ in range(count)
        ]
        for number in made:
            self.becomes(number, "ACTIVE")
        return made

    def becomes(self, number: int, status: str) -> None:
        wait_for(f"server {number} {status}", lambda: self.api.status(number) == status, WAIT_S)

    def settles(self) -> None:
        """Nothing is left to be done on either cluster."""
        wait_for("the end of all operations", lambda: not self._open(), WAIT_S)

    def _open(self) -> list[Any]:
        rows = self.json("operation", "list")
        return [row for row in rows if row["state"] in OPEN]

    def server(self, number: int) -> dict[str, Any]:
        """A server, as operators see it."""
        return next(row for row in self.json("server", "list") if row["id"] == number)

    def where(self, numbers: list[int]) -> dict[str, int]:
        """How many of these servers are on which cluster."""
        rows = self.json("server", "list")
        return dict(Counter(row["backend"] for row in rows if row["id"] in numbers))

    def on(self, cluster: Cluster, numbers: list[int]) -> list[int]:
        """Those of these servers that are on a cluster, by id."""
        rows = self.json("server", "list")
        ours = [row["id"] for row in rows if row["backend"] == cluster["cluster"]]
        return [number for number in ours if number in numbers]

    def reconciled(self, noun: str, *more: str) -> dict[str, str]:
        """What reconciling finds: the kind of difference by what differs."""
        rows = self.json("reconcile", noun, *more)
        return {row["target"]: row["kind"] for row in rows}


def listed(cluster: Cluster, what: str, fields: str = "name") -> list[str]:
    """What ``gnt-instance`` or ``gnt-network list`` shows, a line each."""
    command = ("list", "--no-headers", "--separator=|", "-o", fields)
    return on_master(cluster, f"gnt-{what}", *command).splitlines()


def expect(what: str, seen: object, wanted: object) -> None:
    if seen != wanted:
        raise StepFailed(f"{what}: {seen!r}, not {wanted!r}.")


def people(world: World) -> str:
    """Owner, flavor, image and pools; the owner's token."""
    site = world.site
    site.cloudweb("db", "upgrade")
    site.cloudweb("user", "add", OWNER)
    token = world.json("token", "add", "--user", OWNER, "--name", "story")["token"]
    sizes = ("--cpu", "1", "--ram", "512", "--disk", "1", "--disk-template", "ext_noop")
    flavor = world.json("flavor", "create", *sizes)
    image = world.json("image", "add", "No-op", "debian-12")
    site.cloudweb("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", "4096")
    world.order = {"name": "story", "flavorRef": flavor["id"], "imageRef": image["id"]}
    return str(token)


def add_backends(world: World) -> None:
    step = world.steps.step

    def add(cluster: Cluster, *more: str) -> tuple[str, ...]:
        return ("backend", "add", cluster["url"], "--username", cluster["user"], "--ca-file",
                cluster["cert"], *more)  # fmt: skip

    password = world.small["password"]
    with step("a wrong password, another's certificate and another name are refused, each said"):
        world.refused("password", *add(world.small, "--password-stdin"), given="wrong")
        foreign = {**world.small, "cert": world.large["cert"]}
        world.refused("did not prove who it is", *add(foreign, "--password-stdin"), given=password)
        other = add(world.small, "--name", "other.example.org", "--password-stdin")
        world.refused("other.example.org", *other, given=password)
    for cluster in world.both:
        with step(f"{cluster['cluster']} is added, drained"):
            world.site.cloudweb(*add(cluster, "--password-stdin"), given=password)
            shown = world.json("backend", "show", cluster["cluster"])
            expect("drained", shown["drained"], True)
    with step("nodes: one and two"):
        nodes = [row["backend"] for row in world.json("node", "list")]
        expect("nodes", [nodes.count(c["cluster"]) for c in world.both], [1, 2])


def place(world: World) -> list[int]:
    """Servers go where they may; the servers."""
    step, site = world.steps.step, world.site
    flavor = str(world.order["flavorRef"])
    with step("a public network is made on both clusters at once, in Ganeti"):
        site.cloudweb("network", "create", "Internet", "--public", "--subnet", PUBLIC, "--gateway",
                      "203.0.113.1", "--link", "br0", "--everywhere")  # fmt: skip
        world.settles()
        for cluster in world.both:
            rows = listed(cluster, "network", "network,gateway")
            expect("networks", rows, [f"{PUBLIC}|203.0.113.1"])
    site.cloudweb("network", "modify", "1", "--drain")
    with step("while both are drained, 'server place' says why a server goes nowhere"):
        rows = world.json("server", "place", "--flavor", flavor, "--user", OWNER)
        expect("places", len([row for row in rows if "drained" in str(row)]), 2)
    with step("undrained, the small cluster takes two servers"):
        site.cloudweb("backend", "undrain", world.small["cluster"], "--reason", "In service")
        first = world.make(2)
        expect("placed", world.where(first), {world.small["cluster"]: 2})
    with step("undrained, the large one takes the next: it is less loaded"):
        site.cloudweb("backend", "undrain", world.large["cluster"], "--reason", "In service")
        more = world.make(4)
        counts = world.where(more)
        if not counts.get(world.large["cluster"]):
            raise StepFailed(f"they went to {counts}.")
    servers = first + more
    with step("gnt-instance list shows each on its cluster, with an address of its own"):
        addresses = [row for c in world.both for row in listed(c, "instance", "nic.ips")]
        expect("instances", len(addresses), len(servers))
        expect("addresses", len(set(addresses)), len(servers))
    return servers


def connect(world: World, servers: list[int]) -> int:
    """A private network with a server of each cluster on it; the network."""
    step = world.steps.step
    with step("a private network is made; no cluster hears of it"):
        order = {"network": {"name": "lan", "cidr": PRIVATE}}
        network = int(world.api.call("POST", "networks", order, status=202)["network"]["id"])
        expect("networks", [len(listed(c, "network")) for c in world.both], [1, 1])
    pair = [world.on(cluster, servers)[0] for cluster in world.both]
    with step("a server of each cluster is put on it: each cluster has it, by one MAC prefix"):
        for server in pair:
            body = {"add": {"serverRef": server}}
            world.api.call("POST", f"networks/{network}/action", body, status=202)
        world.settles()
        names = [listed(c, "network") for c in world.both]
        expect("networks", [f"{PREFIX}-net-{network}" in each for each in names], [True, True])
        macs, addresses = set(), set()
        for cluster, server in zip(world.both, pair, strict=True):
            row = on_master(cluster, "gnt-instance", "list", "--no-headers", "-o",
                            "nic.macs,nic.ips", f"{PREFIX}-{server}")  # fmt: skip
            mac, ip = (cell.split(",")[1] for cell in row.split())
            macs.add(mac[:7])
            addresses.add(ip)
        expect("MAC prefixes", len(macs), 1)
        expect("addresses", len(addresses), 2)
    return network


def drain(world: World, servers: list[int]) -> list[int]:
    step, name = world.steps.step, world.small["cluster"]
    with step("the small cluster is drained: what is there obeys, what is new goes elsewhere"):
        world.site.cloudweb("backend", "drain", name, "--reason", "New kernel")
        here = world.on(world.small, servers)[0]
        body = {"reboot": {"type": "SOFT"}}
        world.api.call("POST", f"servers/{here}/action", body, status=202)
        new = world.make(2)
        expect("placed", world.where(new), {world.large["cluster"]: 2})
        world.becomes(here, "ACTIVE")
    return [*servers, *new]


def behind_our_back(world: World, servers: list[int], network: int) -> int:
    """An operator's day, and what becomes of it; the server that is no more."""
    step, large = world.steps.step, world.large
    gone, stopped, moved, *_ = world.on(large, servers)[::-1]
    with step("gnt-instance shutdown: the API shows it without anybody reconciling"):
        on_master(large, "gnt-instance", "shutdown", "--timeout=0", f"{PREFIX}-{stopped}")
        world.becomes(stopped, "STOPPED")
    with step("gnt-instance failover to the other node: operators see the node"):
        before = on_master(large, "gnt-instance", "list", "--no-headers", "-o", "pnode",
                           f"{PREFIX}-{moved}").strip()  # fmt: skip
        other = next(n for n in listed(large, "node") if n != before)
        on_master(large, "gnt-instance", "failover", "-f", "--shutdown-timeout=0", "-n", other,
                  f"{PREFIX}-{moved}")  # fmt: skip
        wait_for("the node", lambda: world.server(moved)["node"] == other, WAIT_S)
    with step("gnt-instance add of a name like ours, and its 'remove' while nobody looks"):
        world.site.stop("worker")
        on_master(large, "gnt-instance", "remove", "-f", "--shutdown-timeout=0",
                  f"{PREFIX}-{gone}")  # fmt: skip
        on_master(large, "gnt-instance", "add", "-t", "diskless", "-o", "noop+default",
                  "--no-name-check", "--no-ip-check", f"{PREFIX}-4711")  # fmt: skip
        found = world.reconciled("servers")
        wanted = {f"{PREFIX}-{gone}": "stale", f"{PREFIX}-4711": "orphan"}
        expect("differences", found, wanted)
    with step("gnt-network: one of ours loses its group, another is made, an address reserved"):
        lan = f"{PREFIX}-net-{network}"
        for server in world.on(world.small, servers):
            cards = on_master(world.small, "gnt-instance", "list", "--no-headers", "-o",
                              "nic.networks.names", f"{PREFIX}-{server}").strip()  # fmt: skip
            if lan in cards:
                on_master(world.small, "gnt-instance", "modify", "--net", "-1:remove",
                          f"{PREFIX}-{server}")  # fmt: skip
        on_master(world.small, "gnt-network", "disconnect", lan, "default")
        on_master(world.small, "gnt-network", "add", "--network=10.99.0.0/24", f"{PREFIX}-net-999")
        public = next(n for n in listed(large, "network") if n != lan)
        on_master(large, "gnt-network", "modify", "--add-reserved-ips=203.0.113.200", public)
        found = world.reconciled("networks")
        wanted = {lan: "network-groups", f"{PREFIX}-net-999": "network-orphan"}
        expect("differences", found, wanted)
        pools = world.reconciled("pools", "--backend", large["cluster"])
        expect("addresses", pools.get("203.0.113.200"), "pool-sync")
    with step("finding changed nothing; 'reconcile all --fix-all' mends it, and nothing is left"):
        expect("orphan", f"{PREFIX}-4711" in listed(large, "instance"), True)
        world.site.start("worker", "cloudweb-worker", "production.ini")
        world.site.cloudweb("reconcile", "all", "--fix-all", "--yes", "--reason", "After their day")
        world.settles()
        expect("orphan", f"{PREFIX}-4711" in listed(large, "instance"), False)
        names = listed(world.small, "network", "name,group_list")
        expect("networks", [row.partition("|")[0] for row in names].count(f"{PREFIX}-net-999"), 0)
        if not any(row.startswith(f"{lan}|default") for row in names):
            raise StepFailed(f"gnt-network list shows {names}.")
        world.becomes(gone, "DELETED")
        wait_for("nothing to be left", lambda: not world.reconciled("all"), WAIT_S)
    return gone


def remove(world: World, servers: list[int], network: int) -> None:
    step, site = world.steps.step, world.site
    with step("a cluster with servers is not removed, and it is said what is in the way"):
        world.refused("server", "backend", "remove", world.small["cluster"], "--reason", "Sold")
    with step("all servers and networks are deleted: both clusters are empty"):
        for server in servers:
            world.api.call("DELETE", f"servers/{server}", status=204)
        world.api.call("DELETE", f"networks/{network}", status=204)
        for server in servers:
            world.becomes(server, "DELETED")
        public = next(row["id"] for row in world.json("network", "list") if row["subnet"] == PUBLIC)
        site.cloudweb("network", "modify", str(public), "--drain")
        site.cloudweb("network", "remove", str(public))
        world.settles()
        for what in ("instance", "network"):
            expect(f"what gnt-{what} lists", [listed(c, what) for c in world.both], [[], []])
    with step("both backends are removed"):
        site.cloudweb("backend", "drain", world.large["cluster"], "--reason", "Sold")
        for cluster in world.both:
            site.cloudweb("backend", "remove", cluster["cluster"], "--reason", "Sold")
        expect("backends", world.json("backend", "list"), [])


def play(services: Services, folder: Path, database_url: str, steps: Steps) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    site = Site(
        folder,
        {
            "CLOUDWEB_DATABASE_URL": database_url,
            "CLOUDWEB_SECRET_KEY": secrets.token_urlsafe(32) + "=",
            "CLOUDWEB_PUBLIC_URL": url,
            "CLOUDWEB_INSTANCE_OS": "noop+default",
            "CLOUDWEB_INSTANCE_PREFIX": f"{PREFIX}-",
            "CLOUDWEB_MAC_FILTERED_LINK": "prv0",
            "CLOUDWEB_WORKER_COMPARE_S": "3",
        },
    )
    with clusters(CLUSTERS) as (small, large):
        try:
            with steps.step("people, flavor, image, pools; web and worker run"):
                world = World(site, Api(url, ""), steps, small, large)
                world.api = Api(url, people(world))
                (folder / "web.ini").write_text(web_ini(port))
                site.start("web", "pserve", str(folder / "web.ini"))
                site.start("worker", "cloudweb-worker", "production.ini")
                wait_for("an answer of /readyz", lambda: ready(url))
            add_backends(world)
            servers = place(world)
            network = connect(world, servers)
            servers = drain(world, servers)
            gone = behind_our_back(world, servers, network)
            remove(world, [server for server in servers if server != gone], network)
            with steps.step("everything ends when asked"):
                site.stop()
        except BaseException:
            print("\n".join(site.logs()), file=sys.stderr)
            raise
        finally:
            site.kill()


def main() -> int:
    if not is_root("make story-ganeti"):
        return 1
    try:
        with (
            Services(["postgresql"]) as services,
            services.database("postgresql") as url,
            tempfile.TemporaryDirectory() as folder,
        ):
            play(services, Path(folder), url, Steps())
    except (StepFailed, MissingService, LabFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\nThe guide's story, on two real Ganeti clusters.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
