"""Every knob, typed: from the ini file, then ``CLOUDWEB_<NAME>``; a bad one stops the boot."""

import base64
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

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
    """44 characters of URL-safe base64 (32 bytes): encrypts cluster passwords at rest."""
    database_pool_size: int = 10
    database_statement_timeout_s: int = 30

    public_url: str = "http://127.0.0.1:6543"
    """Where clients reach this installation; used in links, without a trailing slash."""
    trust_forwarded: bool = False
    """A proxy in front sets X-Forwarded-For: the address in audit and limits comes from it."""
    max_body_bytes: int = 262_144

    instance_prefix: str = "snf-"
    """Ganeti names of our instances are this and the server's id; it ends in a dash."""
    instance_os: str = "snf-image+default"
    public_nic_mode: str = "bridged"
    public_nic_link: str = "br0"
    default_firewall_profile: str = "DISABLED"

    fragment_cache_entries: int = 50_000

    session_cookie_secure: bool = True
    session_idle_s: int = 1800
    session_absolute_s: int = 43_200
    sign_in_attempts: int = 10
    sign_in_window_s: int = 900

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
    worker_backoff_max_s: float = 60.0
    worker_metrics_port: int = 0

    amqp_hosts: tuple[str, ...] = ()
    """amqp:// URLs of the nodes of one broker, tried in random order; none: no broker."""
    amqp_queue_type: str = "quorum"
    amqp_prefetch: int = 2000
    consumer_batch: int = 1000
    consumer_batch_s: float = 0.05
    consumer_metrics_port: int = 0

    metrics_token: Secret = dataclasses.field(default=Secret(""))
    """Bearer token of /metrics; without one only loopback addresses may read it."""
    log_format: str = "json"
    log_level: str = "INFO"

    def __repr__(self) -> str:
        return "Settings(…)"

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
            "instance_prefix": self.instance_prefix.endswith("-")
            and self.instance_prefix.count("-") == 1,
            "public_url": self.public_url.startswith(("http://", "https://"))
            and not self.public_url.endswith("/"),
            "amqp_queue_type": self.amqp_queue_type in ("quorum", "classic"),
            "log_format": self.log_format in ("json", "text"),
            "log_level": self.log_level in ("DEBUG", "INFO", "WARNING", "ERROR"),
            "default_firewall_profile": self.default_firewall_profile
            in ("ENABLED", "DISABLED", "PROTECTED"),
            # One claim makes two calls at most: it looks for a job, then it submits one.
            "worker_lease_s": self.worker_lease_s
            > 2 * (self.rapi_connect_timeout_s + self.rapi_read_timeout_s),
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


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text.encode())) == 32
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
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            word = "a whole number" if kind is int else "a number"
            raise SettingsError(f"Setting cloudweb.{name} must be {word}, not {text!r}.") from None
    return tuple(text.split())
