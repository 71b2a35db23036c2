"""The federation's refusals: a sentence as plain text, or as an error in the caller's notation."""

from xml.sax.saxutils import escape

from cloudweb import faults, wire
from cloudweb.faults import Fault
from cloudweb.shapes.faults import printable

PLAIN = (
    faults.TokenRequired,
    faults.UnknownThere,
    faults.RoleMissing,
    faults.NotAllowed,
)
TEXT = "text/plain; charset=utf-8"


def body_of(fault: Fault, notation: wire.Notation) -> tuple[bytes, str]:
    """The body of the answer and its content type."""
    if isinstance(fault, PLAIN):
        return fault.message.encode("utf-8", "replace"), TEXT
    if notation is wire.Notation.JSON:
        return wire.dump_json({"error": {"message": fault.message}}), notation.value
    text = f"{wire.XML_HEAD}<error><message>{escape(printable(fault.message))}</message></error>"
    return text.encode(), notation.value
