"""How to send each form of the pages as it should be, and what it then writes into the audit.

A new form needs a row in ``ROWS``.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.domain import (
    accounts,
    consumers,
    dead_letters,
    identity,
    installs,
    pool_care,
    pools,
    publishing,
    reconcile,
    servers,
)
from cloudweb.domain import second_factor as factors
from cloudweb.domain import terms as terms_of_use
from cloudweb.domain.dead_letters import Letter
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.models import (
    Adoption,
    AdoptionState,
    AdoptionStep,
    Backend,
    CatalogueFlavor,
    ClusterJob,
    Infrastructure,
    InstallResult,
    Network,
    NetworkKind,
    Node,
    OperationState,
    OperState,
    Pool,
    PoolKind,
    ResultState,
    Role,
    SavedView,
    Server,
    Terms,
    Token,
    User,
    UserState,
    WebSession,
    unit_of_work,
    utc_now,
)
from tests.functional.account.test_credentials import code_of
from tests.functional.account_mails import links
from tests.functional.auditing.ledger import MOVED, Wrote, wrote

CLI = identity.system("cli")
PASSWORD = "correct horse battery"
NEW = "staple of another colour"
WHY = "Asked for in #7"


@dataclasses.dataclass
class Site:
    """An installation in a browser, and what makes things for its pages to be about."""

    app: webtest.TestApp
    sessions: Any
    sealer: Any
    fixture: Callable[[str], Any]
    me: Any = None
    """Who is signed in."""
    reason: str | None = None
    """The reason that was given in the form, if it asks for one."""
    again: Callable[[], Any] = str
    """Sends what was sent last as it was; what came back."""

    def make(self, kind: str, **values: Any) -> Any:
        """One of these, made by its fixture."""
        return self.fixture(f"make_{kind}")(**values)

    def sign_in(self, role: Role) -> None:
        """Begin a session of somebody with this role."""
        self.me = self.fixture("sign_in")(role)

    def add(self, row: Any) -> Any:
        """The row, stored."""
        with unit_of_work(self.sessions) as session:
            session.add(row)
        return row

    def change(self, table: Any, **values: Any) -> None:
        """Change every row of a table behind the pages' back."""
        with unit_of_work(self.sessions) as session:
            session.execute(sa.update(table).values(**values))

    def send(self, page: str, action: str = "", **values: Any) -> Any:
        """Fill in the form of a page that leads there, and send it; what came back."""
        shown = self.app.get(page)
        path = action or page.partition("?")[0]
        form = next(form for form in _forms(shown) if _leads_to(form, path))
        if "reason" in form.fields:
            self.reason = WHY
            form["reason"] = WHY
        for name, value in values.items():
            form[name] = value
        return self.submit(form, "do" if "do" in form.fields else None)

    def submit(self, form: Any, button: str | None, value: str | None = None) -> Any:
        """Send a form by one of its buttons; what came back."""
        self.again = lambda: form.submit(button, value=value, status="*")
        return self.again()


def _forms(page: Any) -> list[Any]:
    return list({id(form): form for form in page.forms.values()}.values())


def _leads_to(form: Any, path: str) -> bool:
    return form.method.lower() == "post" and re.sub(r"^https?://[^/]+", "", form.action) == path


Story = Callable[[Site], Any]


@dataclasses.dataclass(frozen=True)
class Row:
    """What sends the form, as whom, and what it writes."""

    send: Story
    wrote: Wrote
    role: Role = Role.ADMIN


def _row(send: Story, *actions: str, role: Role = Role.ADMIN, **said: Any) -> Row:
    return Row(send, wrote(*actions, **said), role)


# --- servers, nodes, clusters -------------------------------------------------------------------


def _vm(verb: str, page: str = "", **values: Any) -> Story:
    def send(site: Site) -> Any:
        state = OperState.STOPPED if verb == "start" else OperState.STARTED
        server = site.make("server", state=state)
        path = f"/admin/vms/{server.id}/{verb}"
        fields = {name: value.format(id=server.id) for name, value in values.items()}
        return site.send(page.format(id=server.id) or path, path, **fields)

    return send


def _locked(site: Site) -> Any:
    return site.send(f"/admin/vms/{site.make('server', locked=True).id}/unlock")


def _suspended(site: Site) -> Any:
    path = f"/admin/vms/{site.make('server', state=OperState.STOPPED, suspended=True).id}"
    return site.send(path, f"{path}/unsuspend")


def _cluster(site: Site) -> tuple[Backend, Server]:
    """A cluster of two nodes, and a server on the first."""
    backend = site.make("backend")
    facts = {"drained": False, "offline": False, "vm_capable": True, "cpus": 8}
    facts |= {"memory_total_mb": 8192, "memory_free_mb": 4096, "primaries": 1, "secondaries": 0}
    facts |= {"disk_total_mb": 100_000, "disk_free_mb": 100_000}
    for name in ("n1", "n2"):
        site.add(Node(backend_id=backend.id, name=name, node_group="default", **facts))
    flavor = site.make("flavor", disk_template="ext_vlmc", ram_mb=1024)
    return backend, site.make("server", backend=backend, flavor=flavor, node="n1")


def _move(verb: str) -> Story:
    def send(site: Site) -> Any:
        _, server = _cluster(site)
        return site.send(f"/admin/vms/{server.id}/{verb}")

    return send


def _role(verb: str, role: str) -> Story:
    def send(site: Site) -> Any:
        backend, _ = _cluster(site)
        site.change(Node, role=role, primaries=0)
        return site.send(f"/admin/backends/{backend.id}/nodes/n1/{verb}")

    return send


def _empty(verb: str) -> Story:
    def send(site: Site) -> Any:
        backend, _ = _cluster(site)
        return site.send(f"/admin/backends/{backend.id}/nodes/n1/{verb}")

    return send


def _bulk(site: Site) -> Any:
    server = site.make("server")
    return site.send(f"/admin/vms/bulk?verb=shutdown&id={server.id}")


def _choose(site: Site) -> Any:
    server = site.make("server")
    page = site.app.get("/admin/vms")
    key = page.html.select_one("input[name=key][form=bulk]")["value"]
    token = page.forms["bulk"]["csrf_token"].value
    fields = {"csrf_token": token, "key": key, "verb": "lock", "id": str(server.id)}
    site.again = lambda: site.app.post("/admin/vms/choose", fields, status="*")
    return site.again()


def _mail(site: Site) -> Any:
    server = site.make("server")
    words = "subject=New+disks&text=On+Friday."
    return site.send(f"/admin/vms/mail?id={server.id}&{words}")


def _closed(verb: str) -> Story:
    def send(site: Site) -> Any:
        site.make("backend")
        return site.send(f"/admin/backends/{site.make('backend').id}/{verb}")

    return send


def _bulk_backends(site: Site) -> Any:
    site.make("backend")
    return site.send(f"/admin/backends/bulk?verb=drain&id={site.make('backend').id}")


def _refresh(site: Site) -> Any:
    page = f"/admin/backends/{site.make('backend').id}"
    return site.send(page, f"{page}/refresh")


def _add_backend(site: Site) -> Any:
    values = {"name": "gnt.example.org", "url": "https://gnt.example.org:5080"}
    return site.send("/admin/backends/new", **values, username="cloudweb", password=PASSWORD)


def _remove_backend(site: Site) -> Any:
    backend = site.make("backend", drained=True)
    path = f"/admin/backends/{backend.id}/remove"
    return site.send(path, phrase=f"remove {backend.name}")


def _undrain(site: Site) -> Any:
    return site.send(f"/admin/backends/{site.make('backend', drained=True).id}/undrain")


def _undo(site: Site) -> Any:
    page = _undrain(site).follow()
    site.fixture("ledger").new()
    form = next(form for form in _forms(page) if "/admin/undo/" in form.action)
    site.reason = None
    return site.submit(form, None)


def _backend(verb: str, **values: Any) -> Story:
    def send(site: Site) -> Any:
        return site.send(f"/admin/backends/{site.make('backend', **values).id}/{verb}")

    return send


def _adopt(site: Site) -> Any:
    backend, owner = site.make("backend"), site.make("user").user
    return site.send(f"/admin/backends/{backend.id}/adopt", owner=owner.email)


def _confirm_adoption(site: Site) -> Any:
    planned = {"state": AdoptionState.PLANNED, "taken": utc_now(), "user_id": site.me.user.id}
    rest = {"owner": site.me.user.email, "rules": "", "image_ref": ""}
    backend = site.make("backend")
    order = site.add(Adoption(backend_id=backend.id, **planned, **rest))
    step = {"instance": "web1", "fate": "adopt", "owner": site.me.user.email, "why": ""}
    site.add(AdoptionStep(adoption_id=order.id, flavor="x", new_flavor=False, **step))
    return site.send(f"/admin/adoptions/{order.id}/confirm")


def _operation(verb: str, **values: Any) -> Story:
    def send(site: Site) -> Any:
        server = site.make("server")
        with unit_of_work(site.sessions) as session:
            row = servers.shutdown(session, CLI, server.id)
            for name, value in values.items():
                setattr(row, name, value)
        return site.send(f"/admin/operations/{row.id}/{verb}")

    return send


def _job(verb: str, status: str) -> Story:
    def send(site: Site) -> Any:
        backend = site.make("backend")
        opcode = "OP_CLUSTER_REDIST_CONF"
        job = ClusterJob(
            backend_id=backend.id,
            job_id=85,
            status=status,
            opcode=opcode,
            received=utc_now(),
            detail=f'{{"ops": [{{"OP_ID": "{opcode}"}}]}}',
        )
        site.add(job)
        return site.send(f"/admin/jobs/{backend.name}/85/{verb}")

    return send


def _compare(site: Site) -> Any:
    site.make("backend")
    return site.send("/admin/reconcile", "/admin/reconcile/compare")


def _mend(site: Site) -> Any:
    server = site.make("server")
    with unit_of_work(site.sessions) as session:
        backend, snapshot = session.get_one(Backend, server.backend_id), Snapshot(utc_now(), {})
        found = reconcile.detect(session, backend, snapshot, "snf-")
        reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    with unit_of_work(site.sessions, write=False) as session:
        [row] = reconcile.list_open(session)
    return site.send(f"/admin/reconcile/mend?finding={row.finding.id}", "/admin/reconcile/mend")


def _remove_unwanted(site: Site) -> Any:
    backend = site.make("backend")
    there = {"snf-9": InstanceReport("snf-9", running=True)}
    with unit_of_work(site.sessions) as session:
        found = reconcile.detect(session, backend, Snapshot(utc_now(), there), "snf-")
        reconcile.keep(session, backend, taken=utc_now(), found=found, compared=1)
        [finding] = found
    path = f"/admin/reconcile/remove/{backend.id}"
    return site.send(f"{path}?finding={finding.id}", path, phrase="remove 1 instance")


def _consumers(verb: str) -> Story:
    def send(site: Site) -> Any:
        if verb == "resume":
            with unit_of_work(site.sessions) as session:
                consumers.pause(session, CLI, reason="a new broker")
        return site.send(f"/admin/queues/{verb}")

    return send


def _letter(verb: str) -> Story:
    def send(site: Site) -> Any:
        body = b'{"type": "eventd-heartbeat", "cluster": "nobody"}'
        with unit_of_work(site.sessions) as session:
            letter = Letter("0" * 36, "snf-events-op", "key", body, "It is no JSON.")
            dead_letters.keep(session, [letter])
            found = dead_letters.list_recent(session)[0].id
        phrase = {"phrase": f"drop letter {found}"} if verb == "drop" else {}
        return site.send(f"/admin/queues/letters/{found}/{verb}", **phrase)

    return send


def _save_view(site: Site) -> Any:
    page = "/admin/views/new?list=vms&query=q%3Dweb"
    return site.send(page, name="Web")


def _view(verb: str, **values: Any) -> Story:
    def send(site: Site) -> Any:
        facts = {"listing": "vms", "name": "Web", "query": "q=web", "shared_with": ""}
        view = site.add(SavedView(user_id=site.me.user.id, opens=False, **facts))
        return site.send(f"/admin/views/{view.id}/{verb}", **values)

    return send


def _prove(site: Site) -> Any:
    with_password(site)
    return site.send("/admin/prove", current=PASSWORD)


# --- terms --------------------------------------------------------------------------------------


def draft(site: Site, *, publish: bool = False, text: str = "Be kind.", **values: Any) -> Terms:
    with unit_of_work(site.sessions) as session:
        made = terms_of_use.add(session, CLI, text=text, summary="rules", **values)
        if publish:
            publishing.publish(session, CLI, made.id, reason="tests")
        return made


def _write_terms(site: Site) -> Any:
    return _keep(site, "/admin/terms/new", text="Be kind.", summary="All of it")


def _edit_terms(site: Site) -> Any:
    return _keep(site, f"/admin/terms/{draft(site).id}/edit", text="Be kinder.")


def _keep(site: Site, path: str, **values: str) -> Any:
    form = site.app.get(path).forms[1]
    for name, value in values.items():
        form[name] = value
    return site.submit(form, "do", "keep")


def _drop_terms(site: Site) -> Any:
    return site.send(f"/admin/terms/{draft(site).id}/drop")


def _publish(site: Site) -> Any:
    return site.send(f"/admin/terms/{draft(site).id}/publish", phrase="publish")


def _translate(site: Site) -> Any:
    said = {"text": "Φέρεστε ευγενικά.", "summary": "Όλα"}
    return site.send(f"/admin/terms/{draft(site).id}/text/el", **said)


def _withdraw(site: Site) -> Any:
    draft(site, publish=True, requires_acceptance=False)
    other = {"text": "Be kinder.", "requires_acceptance": False}
    return site.send(f"/admin/terms/{draft(site, publish=True, **other).id}/withdraw")


def _unschedule(site: Site) -> Any:
    made = draft(site)
    site.send(f"/admin/terms/{made.id}/publish", phrase="publish", in_force="2027-06-01T00:00")
    site.fixture("ledger").new()
    return site.send(f"/admin/terms/{made.id}/unschedule")


def _accept(site: Site) -> Any:
    draft(site, publish=True)
    return site.send("/account/terms", accept=True)


# --- networks and pools -------------------------------------------------------------------------


def _network(verb: str, *, drained: bool = False, **values: str) -> Story:
    def send(site: Site) -> Any:
        site.make("backend")
        how = {"kind": NetworkKind.IP_LESS_ROUTED, "mode": "routed", "link": "100"}
        network = Network(name="net", public=True, cidr="10.9.0.0/28", drained=drained, **how)
        with unit_of_work(site.sessions) as session:
            session.add(network)
            session.flush()
            pools.create_addresses(session, network)
        fields = {name: value.format(id=network.id) for name, value in values.items()}
        return site.send(f"/admin/networks/{network.id}/{verb}", **fields)

    return send


def _pool(verb: str, query: str = "", **values: str) -> Story:
    def send(site: Site) -> Any:
        with unit_of_work(site.sessions) as session:
            pool = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=10)
            if verb == "release":
                pool_care.reserve(session, CLI, session.get_one(Pool, pool.id), ["prv2"], reason="")
        fields = {name: value.format(id=pool.id) for name, value in values.items()}
        return site.send(f"/admin/pools/{pool.id}/{verb}{query}", **fields)

    return send


# --- flavors ------------------------------------------------------------------------------------


def _flavor(site: Site) -> CatalogueFlavor:
    sizes = {"vcpus": 1, "ram_mb": 2048, "disk_gb": 20}
    site.add(Infrastructure(name="Crete", refreshed=utc_now()))
    return site.add(CatalogueFlavor(flavor_id="f-1", name="m1.small", promoted=True, **sizes))


def _promote(site: Site) -> Any:
    new = "name=m1.new&vcpus=2&ram=512&disk=0"
    return site.send(f"/admin/flavors/promote?{new}")


def _demote(site: Site) -> Any:
    return site.send(f"/admin/flavors/demote?flavor={_flavor(site).flavor_id}")


def _install(site: Site) -> Any:
    return site.send(f"/admin/flavors/install?flavor={_flavor(site).flavor_id}")


def _retry_install(site: Site) -> Any:
    flavor = _flavor(site)
    with unit_of_work(site.sessions) as session:
        row = session.get_one(CatalogueFlavor, flavor.id)
        order = installs.start(session, CLI, row)
    site.change(InstallResult, state=ResultState.FAILED)
    site.fixture("ledger").new()
    path = f"/admin/flavors/installs/{order.id}"
    return site.send(path, f"{path}/retry")


def _size(verb: str, *, deleted: bool = False) -> Story:
    def send(site: Site) -> Any:
        size = {"cpu": 1, "ram_mb": 512, "disk_gb": 4, "disk_template": "plain"}
        flavor = site.make("flavor", **size, deleted=deleted)
        phrase = {} if deleted else {"phrase": "delete C1R512D4plain"}
        return site.send(f"/admin/flavors/compute/{flavor.id}/{verb}", **phrase)

    return send


# --- users, and oneself -------------------------------------------------------------------------


def _user(act: str, at: str = "", **values: Any) -> Story:
    """An act on somebody; ``at`` is where its form is, ``values`` what it says, or how they are."""

    def send(site: Site) -> Any:
        person = site.make("user")
        states = {"activate": UserState.PENDING, "send": UserState.UNVERIFIED}
        states |= {"reject": UserState.PENDING, "verify": UserState.UNVERIFIED}
        facts = {"state": states.get(act, UserState.ACTIVE)}
        facts |= {"totp_sealed": "x"} if act == "factor" else {}
        with unit_of_work(site.sessions) as session:
            session.execute(sa.update(User).where(User.id == person.user.id).values(**facts))
        page = f"/admin/users/{person.user.id}"
        fields = {n: v.format(email=person.user.email) for n, v in values.items()}
        return site.send(f"{page}{at}", f"{page}/{act}", **fields)

    return send


def _sign_up(site: Site) -> Any:
    return site.send("/account/sign-up", email="nora@example.org")


def _forget(site: Site) -> Any:
    email = site.make("user", password=PASSWORD).user.email
    return site.send("/account/forgotten", email=email)


def _follow(site: Site) -> Any:
    site.send("/account/sign-up", email="nora@example.org")
    site.fixture("ledger").new()
    [link] = links(site.sessions, site.sealer, "nora@example.org")
    return site.send(link, "/account/link", password=NEW, again=NEW)


def with_password(site: Site) -> None:
    """Whoever is signed in has a password."""
    with unit_of_work(site.sessions) as session:
        user = session.get_one(User, site.me.user.id)
        user.password_hash = accounts.hashed(PASSWORD)


def _password(site: Site) -> Any:
    with_password(site)
    new = {"current": PASSWORD, "password": NEW, "again": NEW}
    return site.send("/account", "/account/password", **new)


def _add_token(site: Site) -> Any:
    new = {"name": "ci", "scope": "read", "days": "30"}
    return site.send("/account", "/account/tokens", **new)


def _revoke(site: Site) -> Any:
    with unit_of_work(site.sessions, write=False) as session:
        query = sa.select(Token.id).where(Token.user_id == site.me.user.id)
        token = session.scalars(query).one()
    return site.send("/account", f"/account/tokens/{token}/revoke")


def _look_otherwise(site: Site) -> Any:
    return site.send("/account", "/account/looks", theme="dark", density="compact", zone="UTC")


def _end_session(site: Site) -> Any:
    now = utc_now()
    other = site.add(
        WebSession(
            user_id=site.me.user.id,
            digest="0" * 64,
            last_seen=now,
            expires=now + dt.timedelta(hours=1),
        )
    )
    return site.send("/account", f"/account/sessions/{other.id}/end")


def _set_factor(site: Site, steps: int = 0) -> Any:
    page = site.app.get("/account/second-factor")
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page.text)
    assert secret is not None
    form = next(form for form in _forms(page) if "code" in form.fields)
    form["code"] = code_of(secret[1], steps)
    answer = form.submit(status="*")
    answer.secret = secret[1]
    return answer


def with_factor(site: Site) -> str:
    """Whoever is signed in has a second factor; a code of it."""
    secret = _set_factor(site, steps=-1).secret
    site.fixture("ledger").new()
    return code_of(secret)


def _renew_codes(site: Site) -> Any:
    return site.send("/account", "/account/second-factor/codes", code=with_factor(site))


def _remove_factor(site: Site) -> Any:
    # The form is that for new codes, with another button.
    values = {"code": with_factor(site), "csrf_token": site.app.cookies["csrf"]}
    return site.app.post("/account/second-factor/remove", values, status="*")


def _log_in(site: Site) -> Any:
    with_password(site)
    return log_in_again(site)


def log_in_again(site: Site) -> Any:
    site.app.reset()
    values = {"email": site.me.user.email, "password": PASSWORD}
    return site.send("/admin/login", **values)


def _give_code(site: Site) -> Any:
    code = with_factor(site)
    with_password(site)
    log_in_again(site)
    site.fixture("ledger").new()
    return site.send("/admin/login/code", code=code)


def _enrol(site: Site) -> Any:
    secret = pend(site)
    return send_first_code(site, code_of(secret))


def pend(site: Site) -> str:
    """Whoever is signed in lacks a second factor still; the secret they are offered."""
    with unit_of_work(site.sessions) as session:
        row = session.scalars(sa.select(WebSession)).one()
        row.pending = True
        return factors.begin(session, site.sealer, row.id, issuer="x").text


def send_first_code(site: Site, code: str) -> Any:
    """Set up what was offered."""
    token = site.app.get("/admin/login").form["csrf_token"].value
    values = {"csrf_token": token, "code": code}
    return site.app.post("/admin/login/second-factor", values, status="*")


def _log_out(site: Site) -> Any:
    return site.send("/admin/", "/admin/logout")


ROWS: dict[str, Row] = {
    "admin.login": _row(_log_in, "session:open", details="agent"),
    "admin.code": _row(_give_code, "session:open", details="agent"),
    "admin.enrol": _row(_enrol, "second-factor:set", "session:open", details="email"),
    "admin.logout": _row(_log_out, "session:close", details="agent"),
    "admin.prove": _row(_prove, "session:prove", details="by"),
    "admin.view.new": _row(_save_view, "view:save", details="after"),
    "admin.view.edit": _row(_view("edit", name="Sites"), "view:change", details=MOVED),
    "admin.view.remove": _row(_view("remove"), "view:remove", details="before"),
    "admin.vm.start": _row(_vm("start", "/admin/vms/{id}"), "server:start", operation=True),
    "admin.vm.shutdown": _row(_vm("shutdown"), "server:shutdown", operation=True),
    "admin.vm.reboot": _row(_vm("reboot"), "server:reboot", operation=True),
    "admin.vm.lock": _row(_vm("lock", "/admin/vms/{id}"), "server:lock", details=MOVED),
    "admin.vm.unlock": _row(_locked, "server:unlock", details=MOVED),
    "admin.vm.suspend": _row(_vm("suspend"), "server:suspend", details=MOVED, operation=True),
    "admin.vm.unsuspend": _row(_suspended, "server:unsuspend", details=MOVED),
    "admin.vm.destroy": _row(
        _vm("destroy", phrase="destroy {id}"), "server:delete", operation=True
    ),
    "admin.vm.migrate": _row(_move("migrate"), "server:migrate", operation=True),
    "admin.vm.failover": _row(_move("failover"), "server:failover", operation=True),
    "admin.vms.choose": _row(_choose, "server:lock", details=MOVED),
    "admin.vms.bulk": _row(_bulk, "server:shutdown", operation=True),
    **{
        f"admin.node.{verb}": _row(_role(verb, role), f"node:{verb}", operation=True, details=MOVED)
        for verb, role in (
            *(("drain", "R"), ("undrain", "D"), ("offline", "C")),
            *(("online", "O"), ("promote", "R"), ("demote", "C")),
        )
    },
    "admin.node.migrate": _row(
        _empty("migrate"), "node:migrate", "server:migrate", details="servers"
    ),
    "admin.node.evacuate": _row(
        _empty("evacuate"), "node:evacuate", "server:migrate", details="servers"
    ),
    "admin.backend.new": _row(_add_backend, "backend:add", details="name public url"),
    "admin.backend.edit": _row(_backend("edit"), "backend:modify", details=MOVED),
    "admin.backend.remove": _row(_remove_backend, "backend:remove", details="name"),
    "admin.backend.drain": _row(_closed("drain"), "backend:drain", details=MOVED),
    "admin.backend.undrain": _row(_undrain, "backend:undrain", details=MOVED),
    "admin.backends.bulk": _row(_bulk_backends, "backend:drain", details=MOVED),
    "admin.backend.refresh": _row(_refresh, "backend:refresh", details="name"),
    "admin.backend.restrict": _row(_closed("restrict"), "backend:restrict", details=MOVED),
    "admin.backend.publish": _row(
        _backend("publish", public=False), "backend:publish", details=MOVED
    ),
    "admin.backend.offline": _row(_closed("offline"), "backend:offline", details=MOVED),
    "admin.backend.online": _row(_backend("online", offline=True), "backend:online", details=MOVED),
    "admin.undo": _row(_undo, "backend:drain", details="before after undoes"),
    "admin.backend.adopt": _row(_adopt, "backend:adopt-plan", details="adoption owner"),
    "admin.adoption.confirm": _row(_confirm_adoption, "backend:adopt", details="adoption"),
    "admin.job.cancel": _row(_job("cancel", "queued"), "job:cancel", details="backend job opcode"),
    "admin.job.retry": _row(
        _job("retry", "error"), "job:retry", details="backend job opcode", operation=True
    ),
    "admin.operation.cancel": _row(_operation("cancel"), "operation:cancel", operation=True),
    "admin.operation.retry": _row(
        _operation("retry", state=OperationState.ERROR, finished=utc_now(), error="No."),
        "operation:retry",
        operation=True,
    ),
    "admin.reconcile.compare": _row(_compare, "reconcile:compare", details="backends"),
    "admin.reconcile.mend": _row(_mend, "reconcile:stale", details=MOVED),
    "admin.reconcile.remove": _row(_remove_unwanted, "reconcile:orphan", operation=True),
    "admin.queues.pause": _row(_consumers("pause"), "consumer:pause", details=MOVED),
    "admin.queues.resume": _row(_consumers("resume"), "consumer:resume", details=MOVED),
    "admin.letter.retry": _row(_letter("retry"), "letter:retry", details=MOVED),
    "admin.letter.drop": _row(_letter("drop"), "letter:drop", details=MOVED),
    "admin.terms.new": _row(_write_terms, "terms:add", details="text"),
    "admin.terms.edit": _row(_edit_terms, "terms:change", details=MOVED),
    "admin.terms.drop": _row(_drop_terms, "terms:drop", details="before summary"),
    "admin.terms.publish": _row(_publish, "terms:publish", details="number text"),
    "admin.terms.translate": _row(_translate, "terms:translate", details="language before after"),
    "admin.terms.withdraw": _row(_withdraw, "terms:add", details="text"),
    "admin.terms.unschedule": _row(_unschedule, "terms:unschedule", details="number"),
    "admin.network.drain": _row(_network("drain"), "network:drain", details=MOVED),
    "admin.network.undrain": _row(
        _network("undrain", drained=True), "network:undrain", details=MOVED
    ),
    "admin.network.everywhere": _row(
        _network("everywhere"), "network:everywhere", details="backends"
    ),
    "admin.network.remove": _row(
        _network("remove", drained=True, phrase="remove network {id}"),
        "network:delete",
        details="name",
    ),
    "admin.pools.new": _row(
        lambda s: s.send("/admin/pools/new", kind="bridge", base="prv", size="10"),
        "pool:create",
        details="kind base size",
    ),
    "admin.vms.mail": _row(_mail, "notice:send", details="subject mails servers"),
    "admin.pool.reserve": _row(_pool("reserve", "?values=prv1"), "pool:reserve", details="values"),
    "admin.pool.release": _row(_pool("release", "?values=prv2"), "pool:release", details="values"),
    "admin.pool.resize": _row(_pool("resize", "?size=30"), "pool:resize", details=MOVED),
    "admin.pool.remove": _row(
        _pool("remove", phrase="remove pool {id}"), "pool:remove", details="kind base"
    ),
    "admin.flavors.promote": _row(_promote, "promoted:create", details="name"),
    "admin.flavors.demote": _row(_demote, "promoted:delete", details="name"),
    "admin.flavors.install": _row(_install, "promoted:install", details="nodes"),
    "admin.flavors.compute.new": _row(
        lambda s: s.send(
            "/admin/flavors/compute/new", cpu="1", ram="512", disk="4", template="plain"
        ),
        "flavor:create",
        details="name",
    ),
    "admin.flavors.compute.delete": _row(_size("delete"), "flavor:delete", details="name"),
    "admin.flavors.compute.restore": _row(
        _size("restore", deleted=True), "flavor:restore", details="name"
    ),
    "admin.install.retry": _row(_retry_install, "promoted:retry", details="regions"),
    "admin.user.activate": _row(_user("activate"), "user:accept", details=MOVED),
    "admin.user.send": _row(_user("send", "/send"), "user:activation-send", details="email"),
    "admin.user.email": _row(
        _user("email", "/email?email=new@example.org", phrase="{email}"),
        "user:email-ask",
        details=MOVED,
    ),
    "admin.user.verify": _row(_user("verify"), "user:verify", details=MOVED),
    "admin.user.reject": _row(_user("reject", "/reject"), "user:reject", details=MOVED),
    "admin.user.deactivate": _row(
        _user("deactivate", "/deactivate"), "user:deactivate", details=MOVED
    ),
    "admin.user.role": _row(
        _user("role", "/role", role="operator", phrase="{email}"), "user:role", details=MOVED
    ),
    "admin.user.factor": _row(
        _user("factor", "/factor", phrase="{email}"), "second-factor:remove", details="email"
    ),
    "admin.user.sessions": _row(
        _user("sessions", "/sessions", phrase="{email}"),
        "session:end-all",
        details="sessions tokens",
    ),
    "admin.user.mail": _row(
        _user("mail", "/mail?subject=A+word&text=Hello."),
        "user:mail",
        details="subject characters",
    ),
    "admin.user.quota": _row(_user("quota", "/quota", cpu="8"), "quota:set", details=MOVED),
    "account.sign_up": _row(_sign_up, "user:sign-up", details="email"),
    "account.forgotten": _row(_forget, "user:reset-ask", details="email"),
    "account.link": _row(_follow, "user:verify", details=MOVED),
    "account.session.end": _row(_end_session, "session:end", details="ended"),
    "account.tokens": _row(_add_token, "token:add", details="user name"),
    "account.token.revoke": _row(_revoke, "token:revoke", details="user name"),
    "account.factor": _row(_set_factor, "second-factor:set", details="email"),
    "account.factor.codes": _row(_renew_codes, "second-factor:codes", details="codes"),
    "account.factor.remove": _row(
        _remove_factor, "second-factor:remove", details="email", role=Role.USER
    ),
    "account.looks": _row(_look_otherwise, "user:looks", details=MOVED),
    "account.password": _row(_password, "user:password", details="email"),
    "account.terms": _row(_accept, "terms:accept", details="number text"),
}

STRANGERS = {"account.sign_up", "account.forgotten", "account.link"}
"""What people do before they are known: the entry names them as strangers, or by the link."""
