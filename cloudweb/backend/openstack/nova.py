"""A region's Nova: its flavors, listed in one call, created, replaced and deleted."""

import contextlib
import dataclasses
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from cloudweb.backend.openstack import flavors, keystone
from cloudweb.backend.openstack.errors import (
    BadAnswer,
    Conflict,
    Forbidden,
    NotFound,
    RegionError,
    Unauthorized,
)
from cloudweb.backend.openstack.keystone import Login, Pass, PassBook
from cloudweb.backend.openstack.transport import Answer, Conversation
from cloudweb.specifications import Specification

# From 2.61 on a list has the extra specs; a Nova without it answers 406, and is asked without.
_VERSION = {"OpenStack-API-Version": "compute 2.61", "X-OpenStack-Nova-API-Version": "2.61"}
_MAX_PAGES = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for a region, in seconds, and which authorities vouch for it."""

    connect_s: float = 5.0
    read_s: float = 20.0
    ca_file: str = ""

    def begin(self) -> Conversation:
        """A conversation within these limits."""
        return Conversation(
            connect_timeout_s=self.connect_s, read_timeout_s=self.read_s, ca_file=self.ca_file
        )


class NovaRegion:
    """One region, as one account or as the caller whose token was brought; for one thread.

    Everything done through it together takes no longer than the limits. A kept token that is
    refused is renewed once.
    """

    def __init__(
        self,
        login: Login,
        passes: PassBook,
        limits: Limits,
        *,
        callers_token: str | None = None,
    ) -> None:
        self._login = login
        self._passes = passes
        self._token = callers_token
        self._talk = limits.begin()
        self._plain = False
        credential = callers_token or f"{login.username}\n{login.password}\n{login.tenant}"
        kind = "token" if callers_token else "password"
        self._key = keystone.key_of(kind, login.keystone_url, login.region, credential)

    def close(self) -> None:
        self._talk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # What there is.

    def list_flavors(self) -> list[Specification]:
        """Every flavor this account may see, in one call a page; private ones where it may."""
        found: list[Specification] = []
        path = "/flavors/detail?is_public=None"
        for _page in range(_MAX_PAGES):
            try:
                body = self._call("GET", path).body
            except NotFound as error:
                raise BadAnswer(error.message) from None
            rows = body.get("flavors")
            if not isinstance(rows, list):
                raise BadAnswer("Nova's answer has no list of flavors.")
            found.extend(flavors.read(row) for row in rows)
            marker = _next_marker(body)
            if marker is None or not rows:
                return found
            path = f"/flavors/detail?is_public=None&marker={quote(marker, safe='')}"
        raise BadAnswer("Nova's list of flavors has no end.")

    def get(self, flavor_id: str) -> Specification:
        """One flavor with its extra specs and, where it is private, its projects. NotFound."""
        found = flavors.read(self._call("GET", _path(flavor_id)).body.get("flavor"))
        if found.extra_specs is None:
            answer = self._optional("GET", _path(flavor_id, "/os-extra_specs"))
            specs = flavors.read_specs(answer.body.get("extra_specs")) if answer else None
            found = dataclasses.replace(found, extra_specs=specs)
        if found.is_public:
            return dataclasses.replace(found, access=())
        answer = self._optional("GET", _path(flavor_id, "/os-flavor-access"))
        return dataclasses.replace(
            found, access=flavors.read_access(answer.body) if answer else None
        )

    # Changing it.

    def create(self, wanted: Specification) -> Specification:
        """The new flavor, with its extra specs and projects: all of it, or none of it."""
        try:
            answer = self._call("POST", "/flavors", flavors.write(wanted))
        except NotFound as error:
            raise BadAnswer(error.message) from None
        made = flavors.read(answer.body.get("flavor"))
        try:
            self._complete(made.id, wanted)
        except RegionError as error:
            self._undo(made.id, error)
            raise
        return dataclasses.replace(
            made, extra_specs=dict(wanted.extra_specs or {}), access=wanted.access or ()
        )

    def delete(self, flavor_id: str) -> None:
        """Raises NotFound where there is none."""
        self._call("DELETE", _path(flavor_id))

    def replace(self, flavor_id: str, wanted: Specification) -> Specification:
        """Give the flavor other values under the id it has; Nova itself cannot change one.

        The new values are first tried on a flavor beside it; then the old one goes, the new one
        comes, and the one beside it goes too. If the new one does not come, the old one is put
        back as it was.
        """
        old = self.get(flavor_id)
        specs = wanted.extra_specs if wanted.extra_specs is not None else old.extra_specs
        access = wanted.access if wanted.access is not None else old.access
        final = dataclasses.replace(
            wanted,
            id=old.id,
            is_public=wanted.is_public if wanted.access is not None else old.is_public,
            extra_specs=specs,
            access=access,
        )
        if not any(final.differences(old)) and final.access == old.access:
            return old
        if final.name != old.name and any(f.name == final.name for f in self.list_flavors()):
            raise Conflict(f"A flavor named {final.name} is there.")
        beside = self.create(_beside(final))
        try:
            made = self._swap(old, final)
        finally:
            self._drop(beside.id)
        return made

    def _swap(self, old: Specification, final: Specification) -> Specification:
        try:
            self.delete(old.id)
            return self.create(final)
        except RegionError as error:
            self._talk.restart()
            if self._recover(old, final, error):
                return final
            raise

    def _recover(self, old: Specification, final: Specification, error: RegionError) -> bool:
        """Put the old flavor back where it is gone; whether the new one came after all."""
        try:
            there = self.get(old.id)
        except NotFound:
            there = None
        except RegionError as again:
            text = f"{old.name} may be gone: {error.message}; looking for it: {again.message}"
            raise BadAnswer(text) from error
        if there is not None:
            return not any(final.differences(there)) and there.access == final.access
        try:
            self.create(old)
        except RegionError as again:
            text = f"{old.name} is gone: {error.message}; putting it back: {again.message}"
            raise BadAnswer(text) from error
        return False

    def _complete(self, flavor_id: str, wanted: Specification) -> None:
        if wanted.extra_specs:
            body = {"extra_specs": dict(wanted.extra_specs)}
            self._call("POST", _path(flavor_id, "/os-extra_specs"), body)
        for project in wanted.access or ():
            try:
                grant = {"addTenantAccess": {"tenant": project}}
                self._call("POST", _path(flavor_id, "/action"), grant)
            except Conflict:
                # Nova gives a new private flavor to the project that made it.
                continue

    def _undo(self, flavor_id: str, error: RegionError) -> None:
        self._talk.restart()
        try:
            self.delete(flavor_id)
        except RegionError as again:
            raise BadAnswer(
                f"{error.message}; flavor {flavor_id} is left half made: {again.message}"
            ) from error

    def _drop(self, flavor_id: str) -> None:
        """The flavor that was only to try the values goes; at worst it stays, under its name."""
        self._talk.restart()
        with contextlib.suppress(RegionError):
            self.delete(flavor_id)

    # How it is asked.

    def _optional(self, method: str, path: str) -> Answer | None:
        """The answer, or None where this account may not know."""
        try:
            return self._call(method, path)
        except (Forbidden, NotFound):
            return None

    def _call(self, method: str, path: str, body: Any = None) -> Answer:
        admitted = self._passes.get(self._key, self._admit)
        try:
            return self._send(admitted, method, path, body)
        except Unauthorized:
            self._passes.drop(self._key)
            admitted = self._passes.get(self._key, self._admit)
            return self._send(admitted, method, path, body)

    def _admit(self) -> Pass:
        login = self._login
        if self._token is not None:
            return keystone.by_token(self._talk, login.keystone_url, self._token, login.region)
        return keystone.by_password(self._talk, login)

    def _send(self, admitted: Pass, method: str, path: str, body: Any) -> Answer:
        headers = {"X-Auth-Token": admitted.token}
        url, hidden = admitted.compute_url + path, (admitted.token,)
        if not self._plain:
            try:
                return self._talk.call(
                    method, url, headers=headers | _VERSION, body=body, secrets=hidden
                )
            except BadAnswer as error:
                if error.status != 406:
                    raise
                self._plain = True
        return self._talk.call(method, url, headers=headers, body=body, secrets=hidden)


def _path(flavor_id: str, rest: str = "") -> str:
    return f"/flavors/{quote(flavor_id, safe='')}{rest}"


def _beside(final: Specification) -> Specification:
    mark = secrets.token_hex(4)
    return dataclasses.replace(final, id="", name=f"{final.name[:200]}.cloudweb-{mark}")


def _next_marker(body: Mapping[str, Any]) -> str | None:
    """The marker of the next page; the rest of Nova's link may be an address of its own world."""
    for link in body.get("flavors_links") or ():
        if isinstance(link, Mapping) and link.get("rel") == "next":
            markers = parse_qs(urlsplit(str(link.get("href"))).query).get("marker")
            return markers[0] if markers else None
    return None
