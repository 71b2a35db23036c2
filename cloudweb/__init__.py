"""cloudweb: a self-service cloud over Ganeti clusters."""

import gc
from typing import Any

__version__ = "0.1.0"


def main(global_config: dict[str, Any] | None, **ini: str) -> Any:
    """The WSGI application of one ini file; the entry point ``paste.app_factory``."""
    from cloudweb import logs
    from cloudweb.app import make_app
    from cloudweb.settings import Settings

    settings = Settings.load(ini)
    logs.setup(settings)
    app = make_app(settings, ini)
    spare_the_collector()
    return app


def spare_the_collector() -> None:
    """Once a process is ready: what exists now stays for ever and need not be looked at again.

    What comes is let go of when nobody holds it; circles are looked for seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
