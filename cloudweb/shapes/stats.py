"""Where a server's graphs are, on the wire."""

import operator

from cloudweb.shapes.base import ATOM_NS, COMPUTE_NS, Scalar, Shape

GRAPHS = {
    "cpuBar": "cpu-bar",
    "cpuTimeSeries": "cpu-ts",
    "netBar": "net-bar",
    "netTimeSeries": "net-ts",
}
"""The graphs there are, as the API and their URLs call them."""

STATS = Shape(
    "stats",
    [
        Scalar("serverRef", operator.itemgetter("serverRef"), int),
        Scalar("refresh", operator.itemgetter("refresh"), int),
        *(Scalar(name, operator.itemgetter(name)) for name in GRAPHS),
    ],
    namespaces={"xmlns": COMPUTE_NS, "xmlns:atom": ATOM_NS},
)
