"""A fault on the wire: ``{"itemNotFound": {"code": 404, "message": …, "details": …}}``."""

from typing import Any
from xml.sax.saxutils import escape

from cloudweb.faults import Fault
from cloudweb.shapes.base import COMPUTE_NS


def to_json(fault: Fault) -> dict[str, Any]:
    """The fault as a JSON object with its name as the only key."""
    return {fault.name: {"code": fault.code, "message": fault.message, "details": fault.details}}


def to_xml(fault: Fault) -> str:
    """The fault as an element of its name."""
    return (
        f'<{fault.name} xmlns="{COMPUTE_NS}" code="{fault.code}">'
        f"<message>{escape(fault.message)}</message><details>{escape(fault.details)}</details>"
        f"</{fault.name}>"
    )
