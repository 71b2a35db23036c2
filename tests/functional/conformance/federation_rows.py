"""How to reach each endpoint of the federation."""

from collections.abc import Callable, Mapping
from typing import Any

from cloudweb.models import Role
from cloudweb.resources import Resource, federation
from tests.functional.conformance.reaching import Reached, Row
from tests.functional.conformance.world import REGION, REGIONAL_FLAVOR, World

_NANO = {"flavor": {"name": "TestNano", "vcpus": 1, "ram": 64, "disk": 1, "swap": 0}}
_INFRASTRUCTURE = {
    "infrastructure": {
        "name": "Trento",
        "keystone_url": "https://keystone.trento.example:5000/v3",
        "username": "flavors",
        "password": "secret",
        "tenant": "admin",
    }
}
_HERE = {"region_id": REGION}
_ONE_THERE = {**_HERE, "regional_flavor_id": REGIONAL_FLAVOR}


def _region(
    keys: Mapping[str, str] = {}, body: Any = None, *, asked: bool = False
) -> Callable[[World], Reached]:
    """The owner's region; ``asked`` with a token of its Keystone."""

    def reach(world: World) -> Reached:
        cloud = world.region()
        headers = {"X-Auth-Token-KeyStone": cloud.new_token()} if asked else {}
        return Reached(keys, body, headers=headers)

    return reach


def _as(role: Role, reach: Callable[[World], Reached]) -> Callable[[World], Reached]:
    def reach_as(world: World) -> Reached:
        world.owner_is(role)
        return reach(world)

    return reach_as


def _promoted(body: Any = None) -> Callable[[World], Reached]:
    return lambda world: Reached({"promoted_flavor_id": world.promoted().flavor_id}, body)


def _managed(body: Any = None) -> Callable[[World], Reached]:
    return _as(Role.FLAVOR_MANAGER, _promoted(body))


def _registering(_world: World) -> Reached:
    return Reached(body=_INFRASTRUCTURE)


def _promoting(_world: World) -> Reached:
    return Reached(body=_NANO)


def _list_promoted(world: World) -> Reached:
    world.promoted()
    return Reached()


_OWN = {"flavor_id": REGIONAL_FLAVOR}

ROWS: dict[tuple[type[Resource], str], Row] = {
    (federation.FederationRoot, "GET"): Row(),
    (federation.PromotedFlavorCollection, "GET"): Row(_list_promoted),
    (federation.PromotedFlavorCollection, "POST"): Row(
        _as(Role.FLAVOR_MANAGER, _promoting), stranger=405
    ),
    (federation.PromotedFlavorResource, "GET"): Row(_promoted(), stranger=200),
    (federation.PromotedFlavorResource, "PUT"): Row(
        _managed({"flavor": {"promoted": True}}), stranger=405
    ),
    (federation.PromotedFlavorResource, "DELETE"): Row(_managed(), stranger=405),
    (federation.RegionCollection, "GET"): Row(_region()),
    (federation.RegionResource, "GET"): Row(_region(_HERE), stranger=200),
    (federation.RegionalFlavorCollection, "GET"): Row(_region(_HERE), stranger=200),
    # What the region's own token may, whoever brings it may.
    (federation.RegionalFlavorCollection, "POST"): Row(
        _region(_HERE, _NANO, asked=True), stranger=201
    ),
    (federation.RegionalFlavorResource, "GET"): Row(_region(_ONE_THERE), stranger=200),
    (federation.RegionalFlavorResource, "PUT"): Row(
        _region(_ONE_THERE, _NANO, asked=True), stranger=200
    ),
    (federation.RegionalFlavorResource, "DELETE"): Row(
        _region(_ONE_THERE, asked=True), stranger=204
    ),
    (federation.InfrastructureCollection, "GET"): Row(_region()),
    (federation.InfrastructureCollection, "POST"): Row(
        _as(Role.OPERATOR, _registering), stranger=403
    ),
    (federation.InfrastructureResource, "DELETE"): Row(
        _region({"infrastructure_id": REGION}), stranger=403
    ),
    (federation.FlavorCollection, "GET"): Row(_region()),
    (federation.FlavorCollection, "POST"): Row(_region(body=_NANO), stranger=409),
    (federation.FlavorResource, "GET"): Row(_region(_OWN), stranger=200),
    (federation.FlavorResource, "PUT"): Row(
        _region(_OWN, {"flavor": {"public": True}}), stranger=403
    ),
    (federation.FlavorResource, "DELETE"): Row(_region(_OWN), stranger=403),
}
