"""Who is there beside owners of servers, and what is written about them: terms, audit, drift."""

import datetime as dt
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import (
    acceptances,
    accounts,
    adoption,
    adoption_orders,
    audit,
    audit_chain,
    consumers,
    dead_letters,
    identity,
    publishing,
    reconcile,
    saved_views,
    terms,
    terms_languages,
)
from cloudweb.domain.accounts import digest
from cloudweb.domain.adoption import FoundInstance
from cloudweb.domain.identity import Identity
from cloudweb.domain.places import FoundNic
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.models import (
    AuditEntry,
    Backend,
    ComparisonRecord,
    LinkPurpose,
    MailedLink,
    Outcome,
    Role,
    Server,
    SessionFactory,
    Terms,
    Undo,
    User,
    UserState,
    WebSession,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer

CLI = identity.system("cli")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

FIRST = """# Terms of use

Be kind to others. Servers are yours, and so is what they do.

* Do not send mail nobody asked for.
* Do not look for holes in what is not yours.

We may suspend a server that harms others, and tell you by mail.
"""
SECOND = """# Terms of use

Be kind to others. Servers are yours, and so is what they do.

* Do not send mail nobody asked for.
* Do not look for holes in what is not yours, unless its owner asked you to.
* Keep your systems up to date.

We may suspend a server that harms others, and tell you by mail within an hour.
"""

GREEK = """# Όροι χρήσης

Φέρεστε ευγενικά. Κάθε διακομιστής είναι δικός σας.

* Μη στέλνετε αλληλογραφία που κανείς δεν ζήτησε.
"""


def sign_in(session: Session, user_id: int, *, pending: bool = False) -> str:
    """A session of this user; what its cookie holds."""
    text, now = secrets.token_urlsafe(), utc_now()
    session.add(
        WebSession(
            user_id=user_id,
            digest=digest(text),
            last_seen=now,
            expires=now + dt.timedelta(hours=1),
            pending=pending,
            address="192.0.2.17",
            agent=FIREFOX,
        )
    )
    return text


def people(
    sessions: SessionFactory,
    admin: Identity,
    servers: list[Server],
    backends: list[Backend],
    sealer: Sealer,
) -> tuple[dict[str, str], dict[str, str]]:
    """Fills the database; names with their paths, and of some the cookie of who sees them."""
    with unit_of_work(sessions) as session:
        users = _users(session, sealer)
        pages = _users_pages(users, servers) | _terms(session, admin, servers)
        pages |= _audit(session, admin, servers)
        session.flush()
        link = secrets.token_urlsafe()
        session.add(
            MailedLink(
                user_id=users["new"].id,
                purpose=LinkPurpose.VERIFY,
                digest=digest(link),
                expires=utc_now() + dt.timedelta(days=1),
            )
        )
        pages |= {
            "account-sent": "/account/sent",
            "account-done": "/account/done",
            "account-link": f"/account/link?key={link}",
            "account-link-spent": "/account/link?key=spent",
            "account-terms": "/account/terms?next=/admin/",
            "account-plain": "/account",
            "code": "/admin/login/code",
            "enrol": "/admin/login/second-factor",
            "forbidden": f"/admin/vms/{servers[0].id}/shutdown",
            "forgotten": "/account/forgotten",
            "sign-up": "/account/sign-up",
        }
        pages |= _views(session, admin)
        cookies = {
            "account-terms": sign_in(session, users["owing"].id),
            "account-plain": sign_in(session, servers[0].user_id),
            "code": sign_in(session, users["factor"].id, pending=True),
            "enrol": sign_in(session, users["viewer"].id, pending=True),
            "forbidden": sign_in(session, users["viewer"].id),
        }
    return pages | _differences(sessions, servers, backends), cookies


def _users(session: Session, sealer: Sealer) -> dict[str, User]:
    made = {
        key: accounts.create(session, CLI, email=f"{key}@example.org", name=name, role=role)
        for key, name, role in (
            ("viewer", "Vasilis Viewer", Role.VIEWER),
            ("factor", "Fotini Factor", Role.HELPDESK),
            ("owing", "Orestis Owing", Role.OPERATOR),
            ("pending", "Petros Pending", Role.USER),
            ("new", "Nefeli New", Role.USER),
            ("rejected", "Rena Rejected", Role.USER),
            ("gone", "Giorgos Gone", Role.USER),
        )
    }
    made["pending"].state = UserState.PENDING
    made["new"].state = UserState.UNVERIFIED
    made["rejected"].state = UserState.REJECTED
    made["gone"].state = UserState.DEACTIVATED
    made["factor"].totp_sealed = sealer.seal("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    for user in made.values():
        user.verified = utc_now() if user.state is UserState.ACTIVE else None
    session.flush()
    return made


def _users_pages(users: dict[str, User], servers: list[Server]) -> dict[str, str]:
    acts = ("deactivate", "email?email=new@example.org", "mail", "quota", "role", "sessions")
    owner, reached = f"/admin/users/{servers[0].user_id}", "/admin/users"
    return {
        "users": reached,
        "user": owner,
        "user-pending": f"{reached}/{users['pending'].id}",
        "user-reject": f"{reached}/{users['pending'].id}/reject",
        "user-mail-shown": f"{owner}/mail?subject=Disks&text=On+Friday+disks+are+changed.",
        "user-factor": f"{reached}/{users['factor'].id}/factor",
        "user-send": f"{reached}/{users['new'].id}/send",
        **{f"user-{act.partition('?')[0]}": f"{owner}/{act}" for act in acts},
    }


def _terms(session: Session, admin: Identity, servers: list[Server]) -> dict[str, str]:
    made: list[Terms] = []
    for text, summary in ((FIRST, "The first"), (SECOND, "Updates, and a time limit for us")):
        made.append(terms.add(session, admin, text=text, summary=summary))
        publishing.publish(session, admin, made[-1].id, reason="the lawyers")
        session.flush()
    viewer = accounts.get(session, "viewer@example.org")
    for user_id in {admin.user_id, viewer.id, servers[0].user_id, servers[1].user_id}:
        assert user_id is not None
        acceptances.accept_for(session, CLI, user_id, reason="signed on paper")
    text = SECOND.replace("an hour", "two hours")
    draft = terms.add(session, admin, text=text, summary="Two hours")
    greek = {"text": GREEK, "summary": "Δύο ώρες"}
    terms_languages.translate(session, admin, draft.id, "el", **greek)
    terms_languages.copy(session, draft, second := made[1])
    session.flush()
    first = made[0]
    return {
        "terms": "/admin/terms",
        "terms-new": "/admin/terms/new",
        "terms-version": f"/admin/terms/{second.id}",
        "terms-draft": f"/admin/terms/{draft.id}",
        "terms-edit": f"/admin/terms/{draft.id}/edit",
        "terms-publish": f"/admin/terms/{draft.id}/publish",
        "terms-drop": f"/admin/terms/{draft.id}/drop",
        "terms-translate": f"/admin/terms/{draft.id}/text/el",
        "terms-public-greek": "/terms?lang=el",
        "terms-withdraw": f"/admin/terms/{second.id}/withdraw",
        "terms-unschedule": f"/admin/terms/{second.id}/unschedule",
        "terms-diff": f"/admin/terms/{first.id}..{second.id}",
        "terms-acceptances": f"/admin/terms/{second.id}/acceptances",
        "terms-public": "/terms",
        "terms-public-first": "/terms/1",
    }


def _views(session: Session, admin: Identity) -> dict[str, str]:
    """Lists as the administrator likes them."""
    listing, query = "vms", "state=ERROR&sort=name"
    kept = saved_views.add(session, admin, listing=listing, query=query, name="In error")
    saved_views.add(
        *(session, admin),
        listing="operations",
        query="open=yes",
        name="Open",
        shared_with="everyone",
    )
    page = "/admin/views"
    return {
        "views": page,
        "view-new": f"{page}/new?list={listing}&query=state%3DSTOPPED",
        "view-edit": f"{page}/{kept.id}/edit",
        "view-remove": f"{page}/{kept.id}/remove",
        "prove": "/admin/prove?next=/admin/users",
    }


def _audit(session: Session, admin: Identity, servers: list[Server]) -> dict[str, str]:
    server = servers[0]
    audit.record(
        *(session, admin, "server:rename", "server", server.id),
        reason="asked for by its owner",
        before="web",
        after="web-1",
    )
    audit.record(session, admin, "backend:refresh", "backend", server.backend_id)
    viewer = Identity(None, "viewer@example.org", Role.VIEWER, "dashboard", "192.0.2.44")
    refused = "server:destroy"
    audit.record(session, viewer, refused, "server", server.id, outcome=Outcome.REFUSED)
    session.flush()
    audit_chain.seal(session)
    entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "server:rename")).one()
    pages = {"audit": "/admin/audit", "audit-entry": f"/admin/audit/{entry.id}"}
    return pages | _undo(session, admin, server)


def _undo(session: Session, admin: Identity, server: Server) -> dict[str, str]:
    assert admin.user_id is not None
    audit.record(session, admin, "server:start", "server", server.id)
    session.flush()
    query = sa.select(AuditEntry.id).where(AuditEntry.action == "server:start")
    step = {"action": "server:start", "target": str(server.id), "details": {}, "operation": None}
    undo = Undo(
        user_id=admin.user_id,
        title=f"Start {server.name}",
        location=f"/admin/vms/{server.id}",
        steps=[{"entry": session.scalars(query).one(), "left": "", **step}],
    )
    session.add(undo)
    session.flush()
    return {
        "undos": "/admin/undo",
        "undo": f"/admin/undo/{undo.id}",
        "vm-undo": f"/admin/vms/{server.id}?undo={undo.id}",
    }


def _differences(
    sessions: SessionFactory, servers: list[Server], backends: list[Any]
) -> dict[str, str]:
    """What comparing found, what adopting would do, and what the queues hold."""
    patras = backends[1]
    reports = {
        name: InstanceReport(name, running=running, node="node4.example.org")
        for name, running in (
            (servers[1].instance_name, False),
            (servers[5].instance_name, True),
            ("snf-4711", True),
        )
    }
    with unit_of_work(sessions) as session:
        earlier = Snapshot(
            utc_now() - dt.timedelta(hours=1), reports | {"snf-4712": reports["snf-4711"]}
        )
        found = reconcile.detect(session, patras, earlier, "snf-")[1:]
        reconcile.keep(session, patras, taken=earlier.taken, found=found, compared=3)
        snapshot = Snapshot(utc_now(), reports)
        found = reconcile.detect(session, patras, snapshot, "snf-")
        reconcile.keep(session, patras, taken=snapshot.taken, found=found, compared=3)
        reconcile.keep(session, backends[0], taken=snapshot.taken, compared=3)
        order = adoption_orders.ask(session, CLI, patras, owner="maria@example.org")
        session.flush()
        steps = adoption.plan(
            session,
            patras,
            [_instance(f"old{n:02}.example.org", f"aa:00:00:00:01:{n:02}") for n in range(4)],
            owner_of=lambda _: "maria@example.org",
            prefix="snf-",
        )
        adoption_orders.keep_plan(session, order.id, steps, taken=utc_now())
        consumers.note(
            session,
            "consumer-1.example.org:4711",
            broker="rabbit-1.example.org",
            broker_since=utc_now(),
            last_message=utc_now(),
            messages=128_411,
            per_second=3.4,
            unacked=2,
            redelivered=17,
            lag_s=0.3,
            outcomes={"applied": 128_390, "dead letter": 21},
        )
        consumers.note(
            session,
            "consumer-2.example.org:815",
            broker="",
            broker_since=utc_now(),
            error="AMQPConnectionError: connection refused",
        )
        dead_letters.note_counts(session, {"ops": (0, 2), "net": (3, 1), "hooks": (0, 1)})
        of_it = ComparisonRecord.backend_id == patras.id
        two = session.scalars(sa.select(ComparisonRecord.id).where(of_it)).all()
        ids = [finding.id for finding in found if finding.fix]
        unwanted = [finding.id for finding in found if not finding.fix]
        return {
            "reconcile-mend": "/admin/reconcile/mend?" + "&".join(f"finding={n}" for n in ids),
            "reconcile-remove": f"/admin/reconcile/remove/{patras.id}?"
            + "&".join(f"finding={n}" for n in unwanted),
            "reconcile-runs": "/admin/reconcile/runs",
            "reconcile-between": "/admin/reconcile/runs/between?"
            + "&".join(f"id={n}" for n in two),
            "adopt": f"/admin/backends/{patras.id}/adopt",
            "adoption": f"/admin/adoptions/{order.id}",
            "adoption-confirm": f"/admin/adoptions/{order.id}/confirm",
        }


def _instance(name: str, mac: str) -> FoundInstance:
    nic = FoundNic(0, mac, None, None, "bridged", "br0", None)
    return FoundInstance(name, 2, 2048, 20, "drbd", running=True, nics=(nic,))
