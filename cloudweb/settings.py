"""Every knob, typed: from the ini file, then ``CLOUDWEB_<NAME>``; a bad one stops the boot."""

import base64
import dataclasses
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PREFIX = "cloudweb."


class SettingsError(Exception):
    """A setting is missing, unknown or not of its type; the text says which and what to do."""


class Secret(str):
    """A text that must not show up in logs or tracebacks; ``str()`` of its repr is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The settings, one field a knob; units are in the names, defaults are those of production."""

    database_url: Secret
    """SQLAlchemy URL: ``postgresql+psycopg://``, ``mysql+pymysql://`` or ``sqlite:///``."""
    secret_key: Secret
    """44 characters of URL-safe base64 (32 bytes): encrypts cluster and server passwords."""
    secret_keys_old: Secret = dataclasses.field(default=Secret(""))
    """Keys that still open what they sealed, while ``cloudweb secret rotate`` has not run."""
    database_pool_size: int = 10
    database_statement_timeout_s: int = 30

    public_url: str = "http://127.0.0.1:6543"
    """Where clients reach this installation; used in links, without a trailing slash."""
    trust_forwarded: bool = False
    """A proxy in front sets X-Forwarded-For: the address in audit and limits comes from it."""
    max_body_bytes: int = 262_144
    poll_limit_s: int = 3600
    """How far back changes-since may look."""

    instance_prefix: str = "snf-"
    """Ganeti names of our instances are this and the server's id; it ends in a dash."""
    instance_os: str = "snf-image+default"
    default_firewall_profile: str = "DISABLED"

    network_kinds: tuple[str, ...] = ("MAC_FILTERED",)
    """The kinds of networks users may make: MAC_FILTERED, PHYSICAL_VLAN, or none."""
    mac_filtered_link: str = "prv0"
    """The bridge of all MAC_FILTERED networks."""
    os_params_mode: str = "config_url"
    """How an instance is told its password: ``config_url``, or ``osparams`` in its job."""
    config_url_base: str = ""
    """Where instances reach this installation, if not at ``public_url``."""
    handover_s: int = 21_600
    """How long after its create was sent an instance may ask for what only it is told."""

    image_schemes: tuple[str, ...] = ("pithos", "http", "https", "id")
    """Where users' images may lie: of pithos, http, https, file, and id, a bare name."""
    image_disk_formats: tuple[str, ...] = ("diskdump", "extdump", "ntfsdump", "dump")
    """How users' images may be written; the first is what is not said."""
    image_container_formats: tuple[str, ...] = ("bare", "ovf", "ami", "aki", "ari")

    quota_servers: int | None = None
    """How much one user may have; None, spelt ``unlimited``, is as much as there is."""
    quota_cpu: int | None = None
    quota_ram_mb: int | None = None
    quota_disk_gb: int | None = None
    quota_networks: int | None = None
    quota_images: int | None = None

    server_metadata_max: int = 128
    stats_url: str = ""
    """Where graphs are, with ``{server}`` and ``{graph}`` in it; empty: there are none."""
    stats_secret: Secret = dataclasses.field(default=Secret(""))
    """Makes the names of servers in the URLs of graphs; needed where ``stats_url`` is."""

    fragment_cache_entries: int = 50_000

    session_cookie_secure: bool = True
    session_idle_s: int = 1800
    session_absolute_s: int = 43_200
    sign_in_attempts: int = 10
    sign_in_window_s: int = 900

    totp_required_roles: tuple[str, ...] = ("operator", "admin")
    """Roles that cannot sign in without a second factor."""

    terms_languages: tuple[str, ...] = ("en",)
    """Those the terms of use are written in; the first is the original's."""

    sign_up: bool = True
    """Strangers may ask for an account."""
    moderation: bool = True
    """Somebody of ours has to accept whoever signs up."""
    activation_patterns: tuple[str, ...] = ()
    """Regular expressions: who has such an e-mail address is accepted unseen."""
    moderators: tuple[str, ...] = ()
    """The e-mail addresses that are told when somebody waits to be accepted."""
    activation_link_s: int = 259_200
    reset_link_s: int = 3600
    mail_attempts: int = 5
    """How many mails may be asked for, for one e-mail, within ``sign_in_window_s``."""
    mail_from: str = "cloudweb@localhost"
    mail_directory: str = ""
    """Write mails into files here instead of sending them; for development."""
    smtp_host: str = ""
    smtp_port: int = 25
    smtp_tls: str = "starttls"
    """``starttls``, ``tls`` or ``none``."""
    smtp_user: str = ""
    smtp_password: Secret = dataclasses.field(default=Secret(""))
    smtp_timeout_s: float = 20.0

    rapi_connect_timeout_s: float = 5.0
    rapi_read_timeout_s: float = 20.0
    worker_lane_threads: int = 4
    worker_poll_s: float = 0.5
    """How often a lane looks for work when nothing wakes it."""
    worker_follow_s: float = 1.0
    """How often an open job is asked about when the cluster has no agents."""
    worker_safety_follow_s: float = 30.0
    """The same when agents report: only jobs nothing was heard of for this long are asked about."""
    worker_lease_s: float = 60.0
    """A submission not answered for this long is taken over; more than the RAPI time limits."""
    worker_refresh_s: float = 60.0
    worker_compare_s: float = 10.0
    """How often all instances of a cluster without agents are compared with our servers."""
    worker_jobs_s: float = 10.0
    """How often the queue of a cluster's jobs is read for the dashboard."""
    reconcile_every_s: float = 3600.0
    """How often what a cluster and our rows differ in is written down; nothing is mended."""
    history_days: int = 365
    """For how long it is kept who had which address."""
    worker_backoff_max_s: float = 60.0
    worker_metrics_port: int = 0
    operation_tries: int = 5
    """How often what fails for a reason that will pass, as Ganeti has it, is tried in all."""
    operation_expiry_s: float = 86_400.0
    """An operation ends in error when its cluster was away for so long since it was sent."""

    vncproxy_url: str = ""
    """``tcp://HOST:PORT``, ``tls://HOST:PORT`` or ``unix:/PATH`` of a VNC proxy; empty: none."""
    vncproxy_user: str = ""
    vncproxy_password: Secret = dataclasses.field(default=Secret(""))
    vncproxy_ca_file: str = ""
    console_host: str = ""
    """Where VNC clients reach the proxy; empty: the host of ``public_url``."""
    console_timeout_s: float = 6.0
    console_at_once: int = 4
    """How many requests of a web process may be waiting for a cluster to open a console."""

    amqp_hosts: tuple[str, ...] = ()
    """amqp:// URLs of the nodes of one broker, tried in random order; none: no broker."""
    amqp_queue_type: str = "quorum"
    amqp_prefetch: int = 4000
    consumer_batch: int = 2000
    consumer_batch_s: float = 0.05
    consumer_metrics_port: int = 0

    region_connect_timeout_s: float = 5.0
    region_read_timeout_s: float = 20.0
    region_ca_file: str = ""
    """Authorities that vouch for regions and KeyRock; empty: the public ones."""
    region_refresh_s: float = 300.0
    """How often the worker asks each region of the federation for its flavors."""
    idm: str = "local"
    """Who knows the tokens of the federation's API: ``local`` (our own users) or ``keyrock``."""
    keyrock_url: str = ""
    """What KeyRock tells a user by; the token is added to its end."""
    keyrock_cache_s: float = 60.0
    federation_registration: str = "managers"
    """Who may register an infrastructure: ``managers`` (and operators), or ``open``: any user."""
    flavors_public_read: bool = False
    """Let anybody read the list of published flavors."""

    metrics_token: Secret = dataclasses.field(default=Secret(""))
    """Bearer token of /metrics; without one only loopback addresses may read it."""
    log_format: str = "json"
    log_level: str = "INFO"

    def __repr__(self) -> str:
        return "Settings(…)"

    @property
    def quotas(self) -> dict[str, int | None]:
        """How much one user may have of each resource, by its name."""
        names = ("servers", "cpu", "ram_mb", "disk_gb", "networks", "images")
        return {name: getattr(self, f"quota_{name}") for name in names}

    @classmethod
    def load(cls, ini: Mapping[str, str], environ: Mapping[str, str] | None = None) -> "Settings":
        """Read ``cloudweb.*`` keys of an ini section, overridden by ``CLOUDWEB_*`` variables.

        Raises:
            SettingsError: unknown key, missing required one, or a value of the wrong kind.
        """
        env = os.environ if environ is None else environ
        fields = {field.name: field for field in dataclasses.fields(cls)}
        given = {k.removeprefix(PREFIX): v for k, v in ini.items() if k.startswith(PREFIX)}
        unknown = sorted(set(given) - set(fields))
        if unknown:
            raise SettingsError(f"Unknown setting cloudweb.{unknown[0]}; see docs/settings.md.")
        for name in fields:
            if (value := env.get(f"CLOUDWEB_{name.upper()}")) is not None:
                given[name] = value
        values = {name: _coerce(name, text, fields[name].type) for name, text in given.items()}
        for name, field in fields.items():
            if name not in values and field.default is dataclasses.MISSING:
                raise SettingsError(
                    f"Setting cloudweb.{name} (or CLOUDWEB_{name.upper()}) is missing."
                )
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        checks = {
            "secret_key": _is_fernet_key(self.secret_key),
            "secret_keys_old": all(map(_is_fernet_key, self.secret_keys_old.split())),
            "instance_prefix": self.instance_prefix.endswith("-")
            and self.instance_prefix.count("-") == 1,
            "public_url": _is_base_url(self.public_url),
            "os_params_mode": self.os_params_mode in ("config_url", "osparams"),
            "config_url_base": not self.config_url_base or _is_base_url(self.config_url_base),
            "stats_url": not self.stats_url
            or (self.stats_url.startswith(("http://", "https://")) and _is_graph(self.stats_url)),
            "stats_secret": not self.stats_url or bool(self.stats_secret),
            "vncproxy_url": not self.vncproxy_url or _is_control_url(self.vncproxy_url),
            "console_timeout_s": self.console_timeout_s > 0,
            "console_at_once": self.console_at_once > 0,
            "amqp_queue_type": self.amqp_queue_type in ("quorum", "classic"),
            "log_format": self.log_format in ("json", "text"),
            "log_level": self.log_level in ("DEBUG", "INFO", "WARNING", "ERROR"),
            "default_firewall_profile": self.default_firewall_profile
            in ("ENABLED", "DISABLED", "PROTECTED"),
            "network_kinds": set(self.network_kinds) <= {"MAC_FILTERED", "PHYSICAL_VLAN"},
            "mac_filtered_link": bool(self.mac_filtered_link),
            "operation_tries": self.operation_tries > 0,
            # One claim makes two calls at most: it looks for a job, then it submits one.
            "worker_lease_s": self.worker_lease_s
            > 2 * (self.rapi_connect_timeout_s + self.rapi_read_timeout_s),
            "image_schemes": set(self.image_schemes) <= {"pithos", "http", "https", "file", "id"},
            "image_disk_formats": _are_words(self.image_disk_formats),
            "image_container_formats": _are_words(self.image_container_formats),
            "federation_registration": self.federation_registration in ("managers", "open"),
            "idm": self.idm in ("local", "keyrock"),
            "keyrock_url": self.idm == "local"
            or self.keyrock_url.startswith(("http://", "https://")),
            # Whoever is shut out in KeyRock is shut out here, a minute later at most.
            "keyrock_cache_s": self.keyrock_cache_s <= 60,
            "totp_required_roles": set(self.totp_required_roles)
            <= {"user", "viewer", "helpdesk", "operator", "flavor-manager", "admin"},
            "terms_languages": bool(self.terms_languages)
            and all(_LANGUAGE.fullmatch(text) for text in self.terms_languages),
            "activation_patterns": all(_is_pattern(text) for text in self.activation_patterns),
            "moderators": all(_is_mailbox(text) for text in self.moderators),
            "mail_from": _is_mailbox(self.mail_from),
            "smtp_tls": self.smtp_tls in ("starttls", "tls", "none"),
            "amqp_hosts": all(h.startswith(("amqp://", "amqps://")) for h in self.amqp_hosts),
        }
        for name, good in checks.items():
            if not good:
                raise SettingsError(
                    f"Setting cloudweb.{name} has a value that cannot work; see docs/settings.md."
                )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value < 0:
                raise SettingsError(f"Setting cloudweb.{field.name} must not be negative.")


def _is_base_url(text: str) -> bool:
    return text.startswith(("http://", "https://")) and not text.endswith("/")


def _are_words(texts: tuple[str, ...]) -> bool:
    return bool(texts) and all(text.isascii() and len(text) <= 20 for text in texts)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,8})?")


def _is_mailbox(text: str) -> bool:
    return (
        text.isascii() and text.isprintable() and bool(re.fullmatch(r"[^@\s<>,]+@[^@\s<>,]+", text))
    )


def _is_graph(template: str) -> bool:
    try:
        made = template.format(server="a server", graph="a graph")
    except (ValueError, LookupError, AttributeError):
        return False
    return "a server" in made and "a graph" in made


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text.encode())) == 32
    except ValueError:
        return False


def _is_control_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        if parts.scheme == "unix":
            return parts.path.startswith("/") and not parts.netloc
        return parts.scheme in ("tcp", "tls") and bool(parts.hostname and parts.port)
    except ValueError:
        return False


def _coerce(name: str, text: str, kind: Any) -> Any:
    text = text.strip()
    if kind is Secret:
        return Secret(text)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise SettingsError(f"Setting cloudweb.{name} must be true or false, not {text!r}.")
    if kind == int | None:
        return None if text.lower() == "unlimited" else _coerce(name, text, int)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            word = "a whole number" if kind is int else "a number"
            raise SettingsError(f"Setting cloudweb.{name} must be {word}, not {text!r}.") from None
    return tuple(text.split())
