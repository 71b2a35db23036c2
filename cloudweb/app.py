"""Puts the web application together."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request

from cloudweb.backend.console import Consoles
from cloudweb.backend.federation import Federation, limits_of
from cloudweb.backend.openstack.keyrock import KeyRock
from cloudweb.domain import registration
from cloudweb.domain.networks import Rules
from cloudweb.domain.preferences import Looks
from cloudweb.domain.servers import Site
from cloudweb.models import NetworkKind, SessionFactory
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from cloudweb.views.images import rules_of
from cloudweb.wire import FragmentCache


def site_of(settings: Settings) -> Site:
    """What this installation gives every new server."""
    return Site(
        instance_prefix=settings.instance_prefix,
        instance_os=settings.instance_os,
        firewall_profile=settings.default_firewall_profile,
        sealer=Sealer.of(settings),
        handover_s=settings.handover_s,
        limits=settings.quotas,
        metadata_max=settings.server_metadata_max,
    )


def network_rules(settings: Settings) -> Rules:
    """What this installation says of networks."""
    return Rules(
        user_kinds=tuple(NetworkKind(kind) for kind in settings.network_kinds),
        mac_filtered_link=settings.mac_filtered_link,
        instance_prefix=settings.instance_prefix,
        limits=settings.quotas,
    )


def session_factory(settings: Settings) -> SessionFactory:
    """The sessions of the configured database."""
    return SessionFactory.for_web(
        settings.database_url,
        pool_size=settings.database_pool_size,
        statement_timeout_s=settings.database_statement_timeout_s,
    )


def keyrock_of(settings: Settings) -> KeyRock:
    """The identity manager of the federation, which is only asked where the settings say so."""
    return KeyRock(settings.keyrock_url, limits_of(settings), keep_s=settings.keyrock_cache_s)


class CloudwebRequest(Request):
    """A request that knows what it is handed: settings, sessions, fragments, who asks from where.

    A class of its own is quicker than Pyramid's request methods, which make one a request.
    """

    request_body_tempfile_limit = 1_048_576
    """Bodies up to here, in bytes, are read into memory and not into a file."""

    refusal: str = ""
    """Why the request is refused, for the audit; set where the refusal is spelt."""

    proved: dt.datetime | None = None
    """When who asks last showed to be who they are; None for whom no session says it."""

    looks: Looks = Looks()
    """How who asks likes the pages; known once it is known who that is."""

    under_way: int = 0
    """How many operations of who asks are still to end."""

    cut_off: str = ""
    """The field of a form that was too large to be read to its end."""

    answer_tag: str | None = None
    """The answer's ETag, where the view knows it by more than its bytes."""

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
    def consoles(self) -> Consoles:
        """What opens the consoles of servers."""
        consoles: Consoles = self.registry["cloudweb.consoles"]
        return consoles

    @property
    def account_rules(self) -> registration.Rules:
        """Who is accepted, and what mails say."""
        rules: registration.Rules = self.registry["cloudweb.account_rules"]
        return rules

    def release_db(self) -> None:
        """Commit so far: nothing is open and no connection held until ``db`` is used again.

        For the little that a request waits for outside.
        """
        self.db.commit()

    @property
    def federation(self) -> Federation:
        """Reaches the regions."""
        federation: Federation = self.registry["cloudweb.federation"]
        return federation

    @property
    def remote(self) -> str:
        """The client's address, as the proxy in front says if the settings trust it."""
        forwarded = self.headers.get("X-Forwarded-For", "") if self.conf.trust_forwarded else ""
        return forwarded.rpartition(",")[2].strip() or self.remote_addr or ""


def furnish(registry: Registry, settings: Settings, sessions: SessionFactory) -> None:
    """Give an application what its requests are handed; it remembers nothing yet."""
    registry["cloudweb.settings"] = settings
    registry["cloudweb.sessions"] = sessions
    registry["cloudweb.fragments"] = FragmentCache(settings.fragment_cache_entries)
    registry["cloudweb.federation"] = Federation(settings, sessions)
    registry["cloudweb.keyrock"] = keyrock_of(settings)
    registry["cloudweb.site"] = site_of(settings)
    registry["cloudweb.network_rules"] = network_rules(settings)
    registry["cloudweb.image_rules"] = rules_of(settings)
    registry["cloudweb.account_rules"] = registration.Rules.of(settings)
    registry["cloudweb.consoles"] = Consoles(settings)


def make_app(
    settings: Settings,
    ini: Mapping[str, str] | None = None,
    *,
    sessions: SessionFactory | None = None,
) -> Any:
    """The WSGI application; connects to nothing until it is asked something."""
    with Configurator(settings=dict(ini or {})) as config:
        furnish(config.registry, settings, sessions or session_factory(settings))
        config.set_request_factory(CloudwebRequest)
        config.include("pyramid_jinja2")
        config.include("cloudweb.security")
        config.include("cloudweb.tweens")
        config.include("cloudweb.resources.traversal")
        config.include("cloudweb.views.errors")
        config.include("cloudweb.views.machines")
        config.include("cloudweb.views.description")
        config.include("cloudweb.views.instances")
        config.include("cloudweb.views.federation")
        config.include("cloudweb.views.compute")
        config.include("cloudweb.views.images")
        config.include("cloudweb.views.identity")
        config.include("cloudweb.views.dashboard")
        config.include("cloudweb.views.account")
        return config.make_wsgi_app()
