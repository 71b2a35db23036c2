"""``cloudweb server inspect`` and ``network inspect``: what is known, and what clusters say now."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cloudweb.backend.ganeti.errors import NotFound, RapiError
from cloudweb.backend.ganeti.jobs import Job
from cloudweb.cli import clusters, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.networks import network_row
from cloudweb.cli.refusals import Refused, sentence
from cloudweb.cli.servers import server_row
from cloudweb.domain import fleet, network_lists, server_lists, server_views
from cloudweb.models import Backend

_CARDS = {
    "index": "CARD",
    "network": "NETWORK",
    "mac": "MAC",
    "ipv4": "IPV4",
    "ipv6": "IPV6",
    "firewall_profile": "FIREWALL",
}
_JOBS = {"id": "JOB", "opcode": "OPCODE", "status": "STATUS", "received": "RECEIVED"}
_THERE = {
    "backend": "BACKEND",
    "name": "NAME THERE",
    "state": "STATE",
    "found": "THERE",
    "subnet": "SUBNET",
    "free": "FREE",
    "groups": "GROUPS",
    "instances": "INSTANCES",
}
_OURS = ("version", "job_id", "job_opcode", "job_status", "job_time", "job_log", "state_time")


@click.command("inspect")
@click.argument("server_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--jobs", is_flag=True, help="The jobs of its cluster that are about it, too.")
@printing.as_json
@pass_door
def server(door: Door, server_id: int, jobs: bool, as_json: bool) -> None:
    """Show a server with its cards, and its instance as its cluster has it now.

    The status is 1 when the cluster does not answer; what is known is shown all the same.
    """
    with door.reading() as session:
        row = server_lists.get_row(session, server_id)
        view = server_views.get(session, door.identity, server_id)
        backend = session.get_one(Backend, row.server.backend_id)
    ours = server_row(row) | {key: getattr(row.server, key) for key in _OURS}
    cards = [{key: getattr(nic, key) for key in _CARDS} for nic in view.nics]
    instance, found, failed = _instance(door, backend, row.server.instance_name or "", jobs=jobs)
    about = [_job(each) for each in found]
    if as_json:
        more = {"jobs": about} if jobs else {}
        printing.record(ours | {"cards": cards, "instance": instance} | more, as_json=True)
    else:
        printing.record(ours, as_json=False)
        _table(cards, _CARDS)
        if instance is not None:
            _heading(f"As {backend.name} has it")
            printing.record(instance, as_json=False)
        if jobs:
            _table(about, _JOBS)
    if failed:
        raise Refused(failed)


def _instance(
    door: Door, backend: Backend, name: str, *, jobs: bool
) -> tuple[Mapping[str, Any] | None, Sequence[Job], str]:
    """The instance (None if there is none), the jobs about it, and why it could not be asked."""
    if backend.offline:
        return None, (), f"{backend.name} is offline: it is not contacted."
    try:
        with clusters.connect(door, clusters.target(door, backend)) as client:
            found = [
                job
                for job in (client.jobs_bulk() if jobs else ())
                if any(op.instance == name for op in job.ops)
            ]
            try:
                return dataclasses.asdict(client.instance(name)), found, ""
            except NotFound:
                return None, found, f"{backend.name} has no instance {name}."
    except RapiError as error:
        return None, (), f"{backend.name}: {sentence(error)}"


def _job(job: Job) -> dict[str, Any]:
    opcodes = [op.opcode for op in job.ops]
    return {"id": job.id, "opcode": opcodes, "status": job.status, "received": job.received}


@click.command("inspect")
@click.argument("network_id", type=click.IntRange(min=1), metavar="ID")
@printing.as_json
@pass_door
def network(door: Door, network_id: int, as_json: bool) -> None:
    """Show a network, and what each cluster that should have it has of it now.

    The status is 1 when a cluster does not answer; what is known is shown all the same.
    """
    with door.reading() as session:
        row = network_lists.get_row(session, network_id)
        known = network_lists.list_clusters(session, row.network)
        backends = {each.name: each for each in fleet.list_all(session)}
    there, failures = [], []
    for each in known:
        if each.backend_name not in backends:
            continue  # a removed one
        facts, failed = _network(door, backends[each.backend_name], each.name)
        shown = {"backend": each.backend_name, "name": each.name, "state": each.state.value}
        there.append(shown | facts)
        failures += [failed] if failed else []
    if as_json:
        printing.record(network_row(row) | {"clusters": there}, as_json=True)
    else:
        printing.record(network_row(row), as_json=False)
        _table(there, _THERE)
    if failures:
        raise Refused("; ".join(failures))


_UNKNOWN = dict.fromkeys(("subnet", "gateway", "free", "used", "reserved", "groups", "instances"))


def _network(door: Door, backend: Backend, name: str) -> tuple[dict[str, Any], str]:
    """What a cluster has of a network, and why it could not be asked."""
    if backend.offline:
        return {"found": None} | _UNKNOWN, f"{backend.name} is offline: it is not contacted."
    try:
        with clusters.connect(door, clusters.target(door, backend)) as client:
            found = client.network(name)
    except NotFound:
        return {"found": False} | _UNKNOWN, ""
    except RapiError as error:
        return {"found": None} | _UNKNOWN, f"{backend.name}: {sentence(error)}"
    facts: dict[str, Any] = {
        "found": True,
        "subnet": found.cidr,
        "gateway": found.gateway,
        "free": found.free_count,
        "used": list(found.used),
        "reserved": list(found.reserved),
        "groups": [f"{group} ({', '.join(how)})" for group, how in found.groups.items()],
        "instances": list(found.instances),
    }
    return facts, ""


def _heading(text: str) -> None:
    click.echo()
    click.echo(f"{printing.escape(text)}:")


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    click.echo()
    printing.listing(rows, columns)
