"""Puts the web application together."""

from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from cloudweb.domain.servers import Site
from cloudweb.models import SessionFactory
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
    return SessionFactory.for_web(
        settings.database_url,
        pool_size=settings.database_pool_size,
        statement_timeout_s=settings.database_statement_timeout_s,
    )


class CloudwebRequest(Request):
    """A request that knows what it is handed: settings, sessions, fragments, who asks from where.

    A class of its own is quicker than Pyramid's request methods, which make one a request.
    """

    @property
    def conf(self) -> Settings:
        """The settings."""
        settings: Settings = self.registry["cloudweb.settings"]
        return settings

    @property
    def sessions(self) -> SessionFactory:
        """For units of work beside the request's own."""
        sessions: SessionFactory = self.registry["cloudweb.sessions"]
        return sessions

    @property
    def fragments(self) -> FragmentCache:
        """The ready-made pieces of lists."""
        fragments: FragmentCache = self.registry["cloudweb.fragments"]
        return fragments

    @property
    def remote(self) -> str:
        """The client's address, as the proxy in front says if the settings trust it."""
        forwarded = self.headers.get("X-Forwarded-For", "") if self.conf.trust_forwarded else ""
        return forwarded.rpartition(",")[2].strip() or self.remote_addr or ""


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
        config.set_request_factory(CloudwebRequest)
        config.include("pyramid_jinja2")
        config.include("cloudweb.security")
        config.include("cloudweb.tweens")
        config.include("cloudweb.views.errors")
        config.include("cloudweb.views.machines")
        config.include("cloudweb.views.compute")
        config.include("cloudweb.views.dashboard")
        return config.make_wsgi_app()
