"""Ganeti clusters that are not there: their remote API, their jobs in time, and their failures."""

from cloudweb.backend.ganeti.simulator.faults import Failure, Faults
from cloudweb.backend.ganeti.simulator.server import DEFAULT_PORT, Simulator, serve
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec, parse_spec

__all__ = ["DEFAULT_PORT", "ClusterSpec", "Failure", "Faults", "Simulator", "parse_spec", "serve"]
