"""Strange texts in every column that holds what somebody, or something, else wrote."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa

from cloudweb.models import Base, SessionFactory, unit_of_work

SECRET = re.compile(r"digest|seal|hash|checksum|claim|\bkey$|letter$")
"""Names of columns that nobody writes into and nobody is shown."""
OURS = {
    *("audit.action", "audit.door", "audit.role", "audit.target_kind", "terms_acceptances.door"),
    *("adoption_steps.fate", "diagnostics.level", "dead_letters.kind", "pool_values.holder_kind"),
    *("cluster_jobs.read_status", "cluster_jobs.detail", "nics.firewall_profile"),
    *("images.status", "users.language", "users.time_zone", "terms_translations.language"),
    *("saved_views.listing", "saved_views.query", "saved_views.shared_with"),
    *("sent_forms.verb", "sent_forms.location", "undos.location", "networks.mode"),
    *("catalogue_flavors.flavor_id", "catalogue_nodes.flavor_id", "regional_flavors.flavor_id"),
    *("sign_in_attempts.subject", "backends.heartbeat", "adoptions.rules", "terms_texts.text"),
}
"""Words that only cloudweb chooses, its own addresses, and what has tests of its own."""
READ = {
    *("networks.cidr", "networks.cidr6", "networks.gateway", "networks.gateway6", "pools.base"),
    *("networks.mac_prefix", "nics.mac", "nics.ipv4", "nics.ipv6", "address_uses.address"),
    *("backends.url", "backends.fingerprint", "users.email", "infrastructures.nova_url"),
}
"""What is read as an address before it is kept."""
LISTS = ("networks.tags", "backends.disk_templates", "backends.node_groups")
LISTS += ("comparisons.appeared", "comparisons.gone", "adoption_steps.new_networks")
KINDS = {"comparisons.appeared": ": orphan", "comparisons.gone": ": orphan"}
"""What is behind each of a list."""
PAIRS = ("audit.details", "images.properties", "catalogue_flavors.extra_specs")
PAIRS += ("regional_flavors.extra_specs",)
COUNTS = ("consumer_processes.outcomes",)
IN_PATHS = ("backends.name", "nodes.name")
"""Names that are in paths of pages."""

Writer = Callable[[str, int, int], str]
"""What is written: for the column, the number of the row, and as long as it may be."""


def columns() -> Iterator[sa.Column[Any]]:
    """Each column that holds a text of somebody else's, in order."""
    tables = Base.metadata.sorted_tables
    named = {key.column for table in tables for key in table.foreign_keys}
    for table in sorted(tables, key=lambda each: each.name):
        for column in table.columns:
            text = isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum)
            known = SECRET.search(column.name) or str(column) in OURS | READ
            if text and not known and not column.foreign_keys and column not in named:
                yield column


def write(sessions: SessionFactory, writer: Writer) -> dict[str, str]:
    """Writes into all of them; what names that are in paths have become."""
    became: dict[str, str] = {}
    texts: dict[sa.Table, list[sa.Column[Any]]] = {}
    for column in columns():
        texts.setdefault(column.table, []).append(column)
    with unit_of_work(sessions) as session:
        for table in Base.metadata.sorted_tables:
            keys = list(table.primary_key.columns)
            for n, row in enumerate(session.execute(sa.select(table).order_by(*keys)).mappings()):
                values: dict[str, Any] = {}
                for column in texts.get(table, ()):
                    if row[column.name] is not None:
                        length = getattr(column.type, "length", None) or 1000
                        values[column.name] = writer(str(column), n, length)
                    if str(column) in IN_PATHS:
                        became[row[column.name]] = values[column.name]
                for name in (each.name for each in table.columns):
                    text = writer(f"{table.name}.{name}", n, 60)
                    if f"{table.name}.{name}" in LISTS:
                        values[name] = [text + KINDS.get(f"{table.name}.{name}", "")]
                    elif f"{table.name}.{name}" in PAIRS:
                        values[name] = {text: text}
                    elif f"{table.name}.{name}" in COUNTS:
                        values[name] = {text: 7}
                if values:
                    this = [key == row[key.name] for key in keys]
                    session.execute(sa.update(table).where(*this).values(**values))
    return became


def moved(path: str, became: dict[str, str]) -> str:
    """The path of a page, by the names there are now."""
    path, mark, query = path.partition("?")
    parts = path.split("/")
    names = [became.get(unquote(part)) for part in parts]
    found = [quote(new, safe="") if new else part for new, part in zip(names, parts, strict=True)]
    return "/".join(found) + mark + query
