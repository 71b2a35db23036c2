"""A fault on the wire: ``{"itemNotFound": {"code": 404, "message": …, "details": …}}``."""

import re
from typing import Any
from xml.sax.saxutils import escape

from cloudweb.faults import Fault
from cloudweb.shapes.base import COMPUTE_NS


def to_json(fault: Fault) -> dict[str, Any]:
    """The fault as a JSON object with its name as the only key."""
    return {fault.name: {"code": fault.code, "message": fault.message, "details": fault.details}}


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """Text for XML 1.0, which has no way at all to write most control characters."""
    return _NOT_XML.sub("\ufffd", text)


def _text(text: str) -> str:
    return escape(printable(text))


def to_xml(fault: Fault) -> str:
    """The fault as an element of its name."""
    return (
        f'<{fault.name} xmlns="{COMPUTE_NS}" code="{fault.code}">'
        f"<message>{_text(fault.message)}</message><details>{_text(fault.details)}</details>"
        f"</{fault.name}>"
    )
