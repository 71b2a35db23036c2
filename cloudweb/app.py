"""Puts the web application together."""

from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from cloudweb.domain.servers import Site
from cloudweb.models import SessionFactory, make_engine
from cloudweb.settings import Settings
from cloudweb.wire import FragmentCache


def site_of(settings: Settings) -> Site:
    """What this installation gives every new server."""
    return Site(
        instance_prefix=settings.instance_prefix,
        instance_os=settings.instance_os,
        nic_mode=settings.public_nic_mode,
        nic_link=settings.public_nic_link,
        firewall_profile=settings.default_firewall_profile,
    )


def session_factory(settings: Settings) -> SessionFactory:
    """The sessions of the configured database."""
    return SessionFactory(
        make_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_timeout_s=settings.database_statement_timeout_s,
        )
    )


def _conf(request: Request) -> Any:
    return request.registry["cloudweb.settings"]


def _sessions(request: Request) -> Any:
    return request.registry["cloudweb.sessions"]


def _fragments(request: Request) -> Any:
    return request.registry["cloudweb.fragments"]


def _remote(request: Request) -> str:
    settings = request.registry["cloudweb.settings"]
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.trust_forwarded else ""
    return forwarded.rpartition(",")[2].strip() or request.remote_addr or ""


def make_app(
    settings: Settings,
    ini: Mapping[str, str] | None = None,
    *,
    sessions: SessionFactory | None = None,
) -> Any:
    """The WSGI application; connects to nothing until it is asked something."""
    with Configurator(settings=dict(ini or {})) as config:
        config.registry["cloudweb.settings"] = settings
        config.registry["cloudweb.sessions"] = sessions or session_factory(settings)
        config.registry["cloudweb.fragments"] = FragmentCache(settings.fragment_cache_entries)
        config.registry["cloudweb.site"] = site_of(settings)
        config.add_request_method(_conf, "conf", reify=True)
        config.add_request_method(_sessions, "sessions", reify=True)
        config.add_request_method(_fragments, "fragments", reify=True)
        config.add_request_method(_remote, "remote", reify=True)
        config.include("pyramid_jinja2")
        config.include("cloudweb.security")
        config.include("cloudweb.tweens")
        config.include("cloudweb.views.errors")
        config.include("cloudweb.views.machines")
        config.include("cloudweb.views.compute")
        config.include("cloudweb.views.dashboard")
        return config.make_wsgi_app()
