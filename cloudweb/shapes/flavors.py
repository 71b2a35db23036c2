"""Flavors on the wire."""

from cloudweb.shapes.base import Scalar, Shape

FLAVOR_BRIEF = Shape(
    "flavor",
    [
        Scalar("id", lambda f: f.id, int),
        Scalar("name", lambda f: f.name),
    ],
)

FLAVOR = Shape(
    "flavor",
    [
        Scalar("id", lambda f: f.id, int),
        Scalar("name", lambda f: f.name),
        Scalar("ram", lambda f: f.ram_mb, int),
        Scalar("cpu", lambda f: f.cpu, int),
        Scalar("disk", lambda f: f.disk_gb, int),
        Scalar("SNF:disk_template", lambda f: f.disk_template, xml=False),
    ],
)
