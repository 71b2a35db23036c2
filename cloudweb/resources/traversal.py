"""How a URL finds its resource."""

from typing import ClassVar

from pyramid.config import Configurator
from pyramid.traversal import ResourceTreeTraverser


class Traverser(ResourceTreeTraverser):
    """Pyramid's, in which ``@@`` at the beginning of a segment means nothing but itself.

    To Pyramid ``/servers/@@detail`` is another spelling of ``/servers/detail``, and a flavor whose
    id is ``@@`` the list it is in.
    """

    VIEW_SELECTOR: ClassVar[str] = "/"  # no segment begins so


def includeme(config: Configurator) -> None:
    config.add_traverser(Traverser)
