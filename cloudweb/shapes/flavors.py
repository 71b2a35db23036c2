"""Flavors on the wire."""

from cloudweb.shapes.base import Scalar, Shape

FLAVOR_BRIEF = Shape("flavor", [Scalar("id", lambda f: f.id), Scalar("name", lambda f: f.name)])

FLAVOR = Shape(
    "flavor",
    [
        Scalar("id", lambda f: f.id),
        Scalar("name", lambda f: f.name),
        Scalar("ram", lambda f: f.ram_mb),
        Scalar("cpu", lambda f: f.cpu),
        Scalar("disk", lambda f: f.disk_gb),
        Scalar("SNF:disk_template", lambda f: f.disk_template, xml=False),
    ],
)
