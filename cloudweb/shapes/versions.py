"""The versions document, in JSON, XML and Atom."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cloudweb.shapes.base import ATOM_NS, Field, Listed, Scalar, Shape

VERSIONS_NS = "http://docs.openstack.org/common/api/v1.0"
UPDATED = "2011-04-01"
_SPACES = {"xmlns": VERSIONS_NS, "xmlns:atom": ATOM_NS}


def describe(public_url: str) -> dict[str, Any]:
    """The one version there is, as a row of the shapes below."""
    return {
        "id": "v1.1",
        "status": "CURRENT",
        "updated": UPDATED,
        "links": [
            {"rel": "self", "href": f"{public_url}/api/v1.1/"},
            {
                "rel": "describedby",
                "type": "application/json",
                "href": f"{public_url}/api/openapi.json",
            },
        ],
        "media-types": [
            {"base": base, "type": f"application/vnd.openstack.compute-v1.1+{kind}"}
            for base, kind in (("application/xml", "xml"), ("application/json", "json"))
        ],
    }


def _scalar(name: str, *, optional: bool = False) -> Scalar:
    return Scalar(name, lambda row: row.get(name), optional=optional)


LINK = Shape(
    "atom:link",
    [_scalar("rel"), _scalar("type", optional=True), _scalar("href")],
    namespaces=_SPACES,
)
MEDIA_TYPE = Shape("media-type", [_scalar("base"), _scalar("type")], namespaces=_SPACES)

_COMMON: list[Field] = [_scalar("id"), _scalar("status"), _scalar("updated")]

VERSION_BRIEF = Shape(
    "version",
    [*_COMMON, Listed("links", LINK, lambda row: row["links"][:1], wrap=False)],
    namespaces=_SPACES,
)
VERSION = Shape(
    "version",
    [
        *_COMMON,
        Listed("links", LINK, lambda row: row["links"], wrap=False),
        Listed("media-types", MEDIA_TYPE, lambda row: row["media-types"], bare=True),
    ],
    namespaces=_SPACES,
)


def to_atom(row: dict[str, Any], *, title: str, url: str) -> str:
    """The version as an Atom feed with one entry."""
    link = row["links"][0]["href"]
    stamp = f"{row['updated']}T00:00:00Z"
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>"
        f'<feed xmlns={quoteattr(ATOM_NS)}><title type="text">{escape(title)}</title>'
        f"<id>{escape(url)}</id><updated>{stamp}</updated>"
        f"<author><name>cloudweb</name><uri>{escape(url)}</uri></author>"
        f'<link rel="self" href={quoteattr(url)}/>'
        f'<entry><id>{escape(link)}</id><title type="text">Version {row["id"]}</title>'
        f'<updated>{stamp}</updated><link rel="self" href={quoteattr(link)}/>'
        f'<content type="text">Version {row["id"]} {row["status"]} ({row["updated"]})</content>'
        f"</entry></feed>"
    )
