"""Writing to the owners of VMs: what they are told is shown as one of the mails, then sent."""

from collections.abc import Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import notices, texts
from cloudweb.domain.notices import Notice
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, noticing, pages
from cloudweb.views.dashboard.acts import Item, Preview
from cloudweb.views.dashboard.figures import plural
from cloudweb.views.dashboard.vm_choice import chosen

LONGEST_SUBJECT = 100
LONGEST_TEXT = 2000


@view_config(
    route_name="admin.vms.mail", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def write(request: Request) -> Response:
    """GET, POST /admin/vms/mail?id=…: what to write; with that, the mail as it will be; sent."""
    rows = chosen(request)
    subject, text, errors = _given(request)
    if request.method != "POST" and (errors or not subject):
        return pages.show_signed_in(
            request,
            "vm_mail",
            status=400 if errors else 200,
            rows=rows,
            subject=subject,
            text=text,
            errors=errors,
            longest=(LONGEST_SUBJECT, LONGEST_TEXT),
        )
    if errors or not subject:
        raise faults.BadRequest("Say what is to be written.")
    notice = Notice(subject, text)

    def do(preview: Preview, _reason: str, form: SentForm) -> str:
        to = noticing.owners(request, [item.id for item in preview.doable])
        sealer = request.account_rules.sealer
        notices.send(request.db, request.identity, sealer, notice, to, reason="")
        form.items = [_done(item) for item in preview.items]
        path: str = request.route_path("admin.form", key=form.key)
        return path

    return acts.respond(request, lambda: _preview(request, rows, notice), do)


def _given(request: Request) -> tuple[str, str, dict[str, str]]:
    """What was written, and what is wrong with it; nothing is wrong with nothing at all."""
    subject = str(request.params.get("subject", "")).strip()
    text = str(request.params.get("text", "")).replace("\r\n", "\n").strip()
    errors: dict[str, str] = {}
    if not (subject or text):
        return "", "", errors
    if not 0 < len(subject) <= LONGEST_SUBJECT or not texts.readable(subject):
        errors["subject"] = f"One line of 1 to {LONGEST_SUBJECT} characters."
    if not 0 < len(text) <= LONGEST_TEXT or texts.shown(text) != text:
        errors["text"] = f"1 to {LONGEST_TEXT} characters, without control characters."
    return subject[: 2 * LONGEST_SUBJECT], text[: 2 * LONGEST_TEXT], errors


def _preview(request: Request, rows: Sequence[ServerRow], notice: Notice) -> Preview:
    to = noticing.owners(request, [row.server.id for row in rows])
    told = {owner.email for owner in to}
    items = [_item(request, row, told) for row in rows]
    mails = plural(len(to), "mail")
    return Preview(
        title=f"Send {mails}",
        verb=f"Send {mails}",
        section="vms",
        up=(("VMs", request.route_path("admin.vms")),),
        facts={"Chosen": plural(len(rows), "VM"), "Owners": plural(len(to), "person", "people")},
        follows=("Each owner gets one mail, that names their VMs.", "It cannot be taken back."),
        items=items,
        obstacle="" if to else "None of their owners gets mail.",
        kept={
            "subject": [notice.subject],
            "text": [notice.text],
            "id": [str(row.server.id) for row in rows],
        },
        part="notice" if to else "",
        values=noticing.example(notice, to, "") if to else {},
        command="cloudweb server mail "
        + " ".join(str(row.server.id) for row in rows[:5])
        + (" …" if len(rows) > 5 else "")
        + " --subject … --text …",
    )


def _item(request: Request, row: ServerRow, told: set[str]) -> Item:
    server, why = row.server, ""
    if server.deleted:
        why = "It has been deleted."
    elif row.owner not in told:
        why = f"{row.owner} is not active."
    url = request.route_path("admin.vm", id=server.id)
    name = f"{server.name} ({server.id}), of {row.owner}"
    return Item(server.id, name, why, row.owner, url)


def _done(item: Item) -> dict[str, Any]:
    told = {"id": item.id, "name": item.name, "verb": "mail", "operation": None}
    if item.why_not:
        return told | {"result": "skipped", "why": item.why_not}
    return told | {"result": "asked", "why": f"A mail to {item.version}"}
