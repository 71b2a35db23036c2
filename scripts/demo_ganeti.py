"""Plays the whole story on a real Ganeti: a server asked for over HTTP is made, used and deleted.

In between it is put on a network and taken off, and its firewall is set.
Once as agents tell it (queue directory, RabbitMQ, consumer), once as the worker finds out by
asking. A browser stays on the server's page all the while and must see each state without loading
it again. Needs root; brings up what it needs and takes it down; status 1 if any step fails.
"""

import json
import secrets
import signal
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pika
from demo_networks import Chapter
from demo_site import ROOT, STEP_TIMEOUT_S, Api, Site, StepFailed, Steps, wait_for
from ganeti_lab import Cluster, LabFailed, bring_up, is_root, on_master, take_down
from playwright.sync_api import Page, sync_playwright

CLUSTER = "demo97"
PREFIX = "demo97"
WORDS = {"ACTIVE": "Active", "STOPPED": "Stopped", "DELETED": "Deleted"}
sys.path.insert(0, str(ROOT))

from cloudweb.backend.amqp.topology import Topology  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.services import MissingService, Services  # noqa: E402


class Story:
    """A server's life, asked for over HTTP and watched in a browser."""

    def __init__(self, steps: Steps, api: Api, page: Page, url: str, site: Site) -> None:
        self._steps, self._api, self._page, self._url = steps, api, page, url
        self._site = site

    def play(self, order: dict[str, Any], cluster: Cluster) -> None:
        with self._steps.step("POST /servers is answered 202 with a server in BUILD"):
            made = self._api.call("POST", "servers", {"server": order}, status=202)["server"]
            if made["status"] != "BUILD":
                raise StepFailed(f"the new server is {made['status']}, not BUILD.")
        server = int(made["id"])
        self._page.goto(f"{self._url}/admin/vms/{server}")
        self._page.evaluate("window.stillTheSamePage = true")
        self._sees(server, "ACTIVE", "Ganeti made the instance")
        for action, status in (
            ({"shutdown": {}}, "STOPPED"),
            ({"start": {}}, "ACTIVE"),
            ({"reboot": {"type": "SOFT"}}, "ACTIVE"),
            ({"reboot": {"type": "HARD"}}, "ACTIVE"),
        ):
            self._api.call("POST", f"servers/{server}/action", action, status=202)
            self._sees(server, status, json.dumps(action))
        Chapter(self._steps, self._api, cluster, PREFIX, server).play(
            lambda: self._settled(server, "ACTIVE")
        )
        instance = f"{PREFIX}-{server}"
        with self._steps.step(f"Ganeti itself lists {instance}"):
            if instance not in instances(cluster):
                raise StepFailed(f"{instance} is not in the cluster.")
        self._api.call("DELETE", f"servers/{server}", status=204)
        self._sees(server, "DELETED", "DELETE")
        with self._steps.step(f"Ganeti itself no longer lists {instance}"):
            if instance in instances(cluster):
                raise StepFailed(f"{instance} is still in the cluster.")

    def _sees(self, server: int, status: str, after: str) -> None:
        """The server has the status and nothing left to do, in the API and on the open page."""
        with self._steps.step(f"{after}: {status}, in the API and on the open page"):
            wait_for(f"{status} after {after}", lambda: self._settled(server, status))
            self._page.wait_for_function(
                "word => document.querySelector('.status .chip')?.innerText.trim() === word",
                arg=WORDS[status],
                timeout=STEP_TIMEOUT_S * 1000,
            )
            if not self._page.evaluate("window.stillTheSamePage === true"):
                raise StepFailed("the page was loaded again.")

    def _settled(self, server: int, status: str) -> bool:
        if self._api.status(server) != status:
            return False
        shown = json.loads(self._site.cloudweb("server", "show", str(server), "--json"))
        states = {operation["state"] for operation in shown["operations"]}
        if "error" in states:
            raise StepFailed(f"an operation failed: {shown['operations']}")
        return states == {"success"}


def instances(cluster: Cluster) -> str:
    """What ``gnt-instance list`` prints on the cluster."""
    return on_master(cluster, "gnt-instance", "list", "--no-headers", "-o", "name")


def settle(site: Site, cluster: Cluster, password: str) -> tuple[str, dict[str, Any]]:
    """People, flavor, image and the cluster; the user's token and what to order."""
    site.cloudweb("db", "upgrade")
    site.cloudweb("user", "add", "operator@example.org", "--role", "operator", "--password-stdin",
                  given=password)  # fmt: skip
    site.cloudweb("user", "add", "user@example.org")
    token = json.loads(
        site.cloudweb("token", "add", "--user", "user@example.org", "--name", "demo", "--json")
    )["token"]
    flavor = json.loads(site.cloudweb("flavor", "create", "--cpu", "1", "--ram", "512", "--disk",
                                      "1", "--disk-template", "ext_noop", "--json"))  # fmt: skip
    image = json.loads(site.cloudweb("image", "add", "No-op", "debian-12", "--json"))
    site.cloudweb("backend", "add", cluster["url"], "--username", cluster["user"], "--ca-file",
                  cluster["cert"], "--events", "agents", "--password-stdin",
                  given=cluster["password"])  # fmt: skip
    site.cloudweb("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", "4096")
    site.cloudweb("network", "create", "Internet", "--public", "--subnet", "203.0.113.0/24",
                  "--gateway", "203.0.113.1", "--link", "br0")  # fmt: skip
    site.cloudweb("backend", "undrain", cluster["cluster"], "--reason", "demo")
    return token, {"name": "demo", "flavorRef": flavor["id"], "imageRef": image["id"]}


def play(services: Services, folder: Path, database_url: str, steps: Steps) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    password = secrets.token_urlsafe(16)
    site = Site(
        folder,
        {
            "CLOUDWEB_DATABASE_URL": database_url,
            "CLOUDWEB_SECRET_KEY": secrets.token_urlsafe(32) + "=",
            "CLOUDWEB_AMQP_HOSTS": services.urls["rabbitmq"],
            "CLOUDWEB_PUBLIC_URL": url,
            "CLOUDWEB_INSTANCE_OS": "noop+default",
            # Queues of its own, on whatever broker that is.
            "CLOUDWEB_INSTANCE_PREFIX": f"{PREFIX}-",
            "CLOUDWEB_SESSION_COOKIE_SECURE": "false",
            "CLOUDWEB_TOTP_REQUIRED_ROLES": "",
            # So long that what becomes of a job can only have come by message.
            "CLOUDWEB_WORKER_SAFETY_FOLLOW_S": "3600",
        },
    )
    try:
        with steps.step("Ganeti is up"):
            cluster = bring_up(CLUSTER)
        with steps.step("database, people, flavor, image, cluster (verified TLS)"):
            token, order = settle(site, cluster, password)
        with steps.step("web, worker, consumer and eventd run"):
            (folder / "web.ini").write_text(web_ini(port))
            site.start("web", "pserve", str(folder / "web.ini"))
            site.start("worker", "cloudweb-worker", "production.ini")
            site.start("consumer", "cloudweb-consumer", "production.ini")
            site.start("eventd", "cloudweb-eventd", "--queue", cluster["queue"], "--cluster",
                       cluster["cluster"], "--node", f"n1.{cluster['cluster']}",
                       "--amqp", services.urls["rabbitmq"])  # fmt: skip
            wait_for("an answer of /readyz", lambda: ready(url))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=services.urls["chromium"], args=["--no-sandbox"]
            )
            page = browser.new_page()
            with steps.step("an operator signs in to the dashboard"):
                sign_in(page, url, password)
            story = Story(steps, Api(url, token), page, url, site)
            print("\nAs agents tell it, over RabbitMQ:")
            story.play(order, cluster)
            site.stop("eventd", "consumer")
            site.cloudweb("backend", "modify", cluster["cluster"], "--events", "agentless")
            print("\nAs the worker finds out by asking:")
            story.play(order, cluster)
            browser.close()
        with steps.step("everything ends when asked"):
            site.stop()
    except BaseException:
        print("\n".join(site.logs()), file=sys.stderr)
        raise
    finally:
        site.kill()
        drop_queues(services.urls["rabbitmq"])
        take_down(CLUSTER)


def drop_queues(url: str) -> None:
    """Leave the broker as it was, but for the exchanges."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for name in Topology(PREFIX).names:
            channel.queue_delete(name)


def web_ini(port: int) -> str:
    """production.ini, on a free port."""
    text = (ROOT / "production.ini").read_text()
    lines = [
        f"listen = 127.0.0.1:{port}" if line.startswith("listen") else line
        for line in text.splitlines()
    ]
    return "\n".join(lines) + "\n"


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def sign_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/admin/")
    page.get_by_label("E-mail address").fill("operator@example.org")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/admin/")


def main() -> int:
    if not is_root("make demo-ganeti"):
        return 1
    steps = Steps()
    try:
        with (
            Services(["postgresql", "rabbitmq", "chromium"]) as services,
            services.database("postgresql") as url,
            tempfile.TemporaryDirectory() as folder,
        ):
            play(services, Path(folder), url, steps)
    except (StepFailed, MissingService, LabFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\nThe whole story, twice, on a real Ganeti.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
