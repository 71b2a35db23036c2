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
    # What exists now stays for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    return app
