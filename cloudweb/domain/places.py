"""The networks that cards of a cluster are on; those that nobody here knows are made."""

import dataclasses
import ipaddress
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import pools
from cloudweb.models import Backend, BackendNetwork, Network, NetworkKind, NetworkState


@dataclasses.dataclass(frozen=True, slots=True)
class FoundNic:
    """A card of an instance; ``network`` is Ganeti's name of one."""

    index: int
    mac: str
    ip: str | None
    network: str | None
    mode: str | None
    link: str | None
    name: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class FoundNetwork:
    """A network as the cluster has it."""

    name: str
    cidr: str
    gateway: str | None
    cidr6: str | None
    gateway6: str | None
    mode: str
    link: str
    reserved: tuple[str, ...]


def name_of(nic: FoundNic) -> str:
    """What people call the network of a card: Ganeti's name of it, else mode and link."""
    return nic.network or f"{nic.mode or 'bridged'} {nic.link or ''}".strip()


class Places:
    """The networks that cards of a cluster are on: those of Ganeti by name, else mode and link."""

    def __init__(self, session: Session, backend: Backend) -> None:
        self._session, self._backend = session, backend
        self.made = 0
        here = sa.or_(Network.backend_id == backend.id, Network.backend_id.is_(None))
        named = session.execute(
            sa.select(BackendNetwork.name, Network)
            .join(Network, Network.id == BackendNetwork.network_id)
            .where(
                BackendNetwork.backend_id == backend.id,
                BackendNetwork.state != NetworkState.DELETED,
            )
        )
        self._named: dict[str, Network] = {row[0]: row[1] for row in named}
        self._linked = {
            (network.mode, network.link): network
            for network in session.scalars(
                sa.select(Network)
                .where(here, Network.public, ~Network.deleted, Network.cidr.is_(None))
                .order_by(Network.id.desc())
            )
        }

    def find(self, nic: FoundNic) -> Network | None:
        if nic.network is not None:
            return self._named.get(nic.network)
        return self._linked.get((nic.mode or "bridged", nic.link or ""))

    def make(self, nic: FoundNic, found: Mapping[str, FoundNetwork]) -> Network:
        """The network of the card, made if need be: public, drained, on this cluster only."""
        known = self.find(nic)
        if known is not None:
            return known
        there = found.get(nic.network) if nic.network is not None else None
        mode = there.mode if there is not None else nic.mode or "bridged"
        link = there.link if there is not None else nic.link or ""
        network = Network(
            name=name_of(nic),
            kind=NetworkKind.CUSTOM,
            public=True,
            drained=True,
            backend_id=self._backend.id,
            mode=mode,
            link=link,
            dhcp=there is not None,
        )
        if there is not None and _has_pool(there.cidr):
            network.cidr, network.gateway = there.cidr, there.gateway
            network.cidr6, network.gateway6 = there.cidr6, there.gateway6
        self._session.add(network)
        self._session.flush()  # its addresses and its place on the cluster name its id
        self.made += 1
        if nic.network is None:
            self._linked[mode, link] = network
            return network
        self._named[nic.network] = network
        self._session.add(
            BackendNetwork(
                network_id=network.id,
                backend_id=self._backend.id,
                name=nic.network,
                state=NetworkState.ACTIVE,
            )
        )
        if network.cidr is not None and there is not None:
            pool = pools.create_addresses(self._session, network)
            numbers = [pools.number_of(pool, address) for address in there.reserved]
            pools.keep_from_use(self._session, pool, [n for n in numbers if n is not None])
        return network


def _has_pool(cidr: str) -> bool:
    return ipaddress.IPv4Network(cidr).num_addresses <= pools.MAX_SIZE
