"""cloudweb-hook: tells the message bus which network cards an instance has, as a hook of Ganeti.

Ganeti waits for its hooks inside the job. So the message goes to the spool first, then the broker
has a moment to take it; what it does not take, the next hook or cloudweb-eventd publishes. The exit
status is 0 whatever happens: a message must never fail a job.
"""

import ipaddress
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from cloudweb.backend.agents import config, spool
from cloudweb.backend.agents.messages import Message, net_status

log = logging.getLogger(__name__)
BUDGET_S = 1.5
PATHS = ("instance-add", "instance-start", "instance-reboot", "instance-modify")
_TAG = ("synnefo", "network")
_FIELDS = {
    "MAC": "mac",
    "IP": "ip",
    "BRIDGE": "link",
    "NAME": "name",
    "NETWORK_NAME": "network",
}
_BEFORE, _AFTER = "GANETI_INSTANCE_", "GANETI_POST_INSTANCE_"
"""Ganeti tells what an instance was, and after a job what it is now."""


def message_of(environ: Mapping[str, str], now: float) -> Message | None:
    """The message about the instance of this hook's environment; None when there is none to send.

    Raises ValueError for an environment that is not that of a hook.
    """
    if environ.get("GANETI_HOOKS_PHASE") != "post" or environ.get("GANETI_HOOKS_PATH") not in PATHS:
        return None
    name = environ.get("GANETI_INSTANCE_NAME", "")
    if not name:
        raise ValueError("The environment names no instance.")
    nics = _nics(environ)
    for tag in environ.get(_now(environ) + "TAGS", "").split():
        _note_firewall(nics, tag)
    return net_status(name, nics, environ.get("GANETI_CLUSTER"), now)


def _now(environ: Mapping[str, str]) -> str:
    """How the variables begin that tell of the instance as it is now."""
    return _AFTER if f"{_AFTER}NIC_COUNT" in environ else _BEFORE


def _nics(environ: Mapping[str, str]) -> list[dict[str, str]]:
    prefix = _now(environ)
    count = int(environ.get(f"{prefix}NIC_COUNT") or 0)
    return [_nic(environ, f"{prefix}NIC{index}_") for index in range(count)]


def _nic(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    nic = {
        key: environ[prefix + name] for name, key in _FIELDS.items() if environ.get(prefix + name)
    }
    if "mac" not in nic:
        raise ValueError(f"{prefix}MAC is missing.")
    subnet6 = environ.get(prefix + "NETWORK_SUBNET6")
    if subnet6:
        nic["ipv6"] = eui64(subnet6, nic["mac"])
    return nic


def eui64(subnet: str, mac: str) -> str:
    """The address a card gives itself in an IPv6 subnet (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"{mac!r} is no MAC address.")
    host = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    network = ipaddress.IPv6Network(subnet)
    return str(network[int.from_bytes(host, "big")])


def _note_firewall(nics: list[dict[str, str]], tag: str) -> None:
    """Tags ``synnefo:network:INDEX:PROFILE``; others, and those of no card, are passed over."""
    fields = tag.split(":")
    if len(fields) != 4 or tuple(fields[:2]) != _TAG or not fields[2].isdigit():
        return
    if int(fields[2]) < len(nics):
        nics[int(fields[2])]["firewall"] = fields[3]


def is_master(environ: Mapping[str, str]) -> bool:
    """Hooks run on several nodes: the master's tells."""
    master = environ.get("GANETI_MASTER", "")
    return not master or master in (socket.getfqdn(), socket.gethostname())


def run(environ: Mapping[str, str], path: Path = config.CONFIG) -> None:
    """Tell what this hook's environment says. Raises nothing that is worth failing a job for."""
    try:
        if not is_master(environ):
            return
        message = message_of(environ, time.time())
        if message is None:
            return
        told = config.read(path)
        waiting = spool.Spool(told.spool)
        waiting.put(message)
    except (OSError, ValueError) as error:
        log.error("%s", error)
        return
    publishing = threading.Thread(
        target=spool.try_flush,
        args=(waiting, told.urls),
        kwargs={"timeout_s": BUDGET_S / 2},
        daemon=True,
    )
    publishing.start()
    publishing.join(BUDGET_S)


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="cloudweb-hook: %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    run(os.environ)
    sys.stderr.flush()
    os._exit(0)  # a connection that hangs is not waited for


if __name__ == "__main__":
    main()
