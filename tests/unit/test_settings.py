"""Settings: what they refuse, and that the ini files and the documentation name each one."""

import configparser
import dataclasses
import re
from pathlib import Path

import pytest

from cloudweb.cli.config import load_settings
from cloudweb.settings import Secret, Settings, SettingsError

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
SECRETS = {name for name, field in FIELDS.items() if field.type is Secret} | {"amqp_hosts"}
KEY = "Y2xvdWR3ZWItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDA="
REQUIRED = {"cloudweb.database_url": "sqlite://", "cloudweb.secret_key": KEY}


def load(ini: dict[str, str] | None = None, **environ: str) -> Settings:
    return Settings.load(REQUIRED | (ini or {}), environ)


def production(project: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(project / "production.ini")
    section = dict(parser["app:main"])
    return {key: value for key, value in section.items() if key.startswith("cloudweb.")}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FIELDS:
        monkeypatch.delenv(f"CLOUDWEB_{name.upper()}", raising=False)


def test_production_ini_sets_every_setting_that_is_no_secret(project: Path) -> None:
    assert {key.removeprefix("cloudweb.") for key in production(project)} == set(FIELDS) - SECRETS


def test_production_ini_names_the_variable_of_every_secret(project: Path) -> None:
    named = re.findall(
        r"^# cloudweb\.(\w+): (CLOUDWEB_\w+)$",
        (project / "production.ini").read_text(),
        re.MULTILINE,
    )
    assert sorted(named) == sorted((name, f"CLOUDWEB_{name.upper()}") for name in SECRETS)


def test_production_ini_has_the_defaults_where_there_are_any(project: Path) -> None:
    loaded = Settings.load(production(project) | REQUIRED, {})
    differing = {
        name
        for name, field in FIELDS.items()
        if field.default is not dataclasses.MISSING and getattr(loaded, name) != field.default
    }
    assert differing == {"public_url"}


def test_the_documentation_names_every_setting_with_its_default(project: Path) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \|", (project / "docs/settings.md").read_text(), re.MULTILINE
    )
    assert dict(rows) == {name: spelt(field.default) for name, field in FIELDS.items()}
    assert len(rows) == len(FIELDS)


def spelt(default: object) -> str:
    if default is dataclasses.MISSING:
        return "required"
    if isinstance(default, tuple):
        default = " ".join(default)
    if default == "":
        return "empty"
    if isinstance(default, tuple):
        return f"`{' '.join(default)}`"
    if default is None:
        return "`unlimited`"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def test_development_ini_is_complete(project: Path) -> None:
    settings = load_settings(project / "development.ini")
    assert settings.database_url == f"sqlite:///{project}/var/cloudweb.sqlite"
    assert settings.session_cookie_secure is False


@pytest.mark.parametrize("name", ["development.ini", "production.ini"])
def test_the_web_server_lets_cloudweb_refuse_what_is_too_large(project: Path, name: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(project / name)
    largest = int(parser["server:main"]["max_request_body_size"])
    assert largest > FIELDS["max_body_bytes"].default


def test_the_environment_goes_before_the_file() -> None:
    settings = load({"cloudweb.log_level": "DEBUG"}, CLOUDWEB_LOG_LEVEL="ERROR")
    assert settings.log_level == "ERROR"


def test_values_become_what_the_field_is() -> None:
    settings = load(
        {
            "cloudweb.worker_poll_s": " 0.25 ",
            "cloudweb.trust_forwarded": "Yes",
            "cloudweb.amqp_hosts": "amqp://a\n  amqp://b",
            "cloudweb.amqp_prefetch": "7",
            "cloudweb.quota_cpu": "0",
            "cloudweb.quota_servers": "Unlimited",
        }
    )
    assert settings.worker_poll_s == 0.25
    assert settings.trust_forwarded is True
    assert settings.amqp_hosts == ("amqp://a", "amqp://b")
    assert settings.amqp_prefetch == 7
    assert (settings.quota_cpu, settings.quota_servers) == (0, None)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("nonsense", "1", "Unknown setting cloudweb.nonsense"),
        ("amqp_prefetch", "many", "a whole number"),
        ("worker_poll_s", "soon", "a number"),
        ("trust_forwarded", "perhaps", "true or false"),
        ("secret_key", "short", "secret_key"),
        ("secret_keys_old", f"{KEY} short", "secret_keys_old"),
        ("instance_prefix", "snf", "instance_prefix"),
        ("public_url", "https://a.example/", "public_url"),
        ("worker_lease_s", "10", "worker_lease_s"),
        ("amqp_hosts", "rabbit.example", "amqp_hosts"),
        ("session_idle_s", "-1", "session_idle_s"),
        ("log_level", "LOUD", "log_level"),
        ("quota_cpu", "-1", "quota_cpu"),
        ("quota_cpu", "some", "a whole number"),
        ("os_params_mode", "both", "os_params_mode"),
        ("config_url_base", "cloud.example", "config_url_base"),
        ("vncproxy_url", "127.0.0.1:24999", "vncproxy_url"),
        ("vncproxy_url", "tcp://127.0.0.1", "vncproxy_url"),
        ("vncproxy_url", "tls://proxy:99999", "vncproxy_url"),
        ("vncproxy_url", "unix:control.sock", "vncproxy_url"),
        ("console_timeout_s", "0", "console_timeout_s"),
        ("console_at_once", "0", "console_at_once"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(key: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        load({f"cloudweb.{key}": value})


def test_a_missing_required_setting_names_its_variable() -> None:
    with pytest.raises(SettingsError, match="CLOUDWEB_SECRET_KEY"):
        Settings.load({"cloudweb.database_url": "sqlite://"}, {})


def test_settings_show_no_secret() -> None:
    settings = load()
    assert KEY not in repr(settings)
    assert KEY not in repr(settings.secret_key)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no file"),
        ("[server:main]\n", "no section [app:main]"),
        ("cloudweb.log_level = INFO\n", "not an ini file"),
        ("[app:main]\ncloudweb.database_url = %(nowhere)s\n", "not an ini file"),
        ("[app:main]\ncloudweb.log_level = INFO\n", "cloudweb.database_url"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "some.ini"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=re.escape(says)):
        load_settings(path)
