"""Writing to the owners of VMs: what they are told is shown as one of the mails, then sent."""

from collections.abc import Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import letters, notices
from cloudweb.domain.notices import Notice
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, bulk, noticing, writing
from cloudweb.views.dashboard.acts import Item, Preview
from cloudweb.views.dashboard.figures import plural
from cloudweb.views.dashboard.vm_choice import chosen_ids, gone, rows_of


@view_config(
    route_name="admin.vms.mail", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def write(request: Request) -> Response:
    """GET, POST /admin/vms/mail?id=…: what to write; with that, the mail as it will be; sent."""
    ids = chosen_ids(request)
    rows = rows_of(request, ids)
    names = sorted({row.server.name for row in rows})
    page = {
        "section": "vms",
        "title": f"Mail the owners of {plural(len(rows), 'VM')}",
        "up": (("VMs", request.route_path("admin.vms")),),
        "words": f"{', '.join(names[:10])}{' and more' if len(names) > 10 else ''}. Each owner gets"
        " one mail: your text, then the names of their VMs, and who has written it.",
        "obstacle": "",
        "ids": ids,
        "command": _command(rows),
    }

    def notice(subject: str, text: str) -> Notice:
        return Notice(subject, text, writer=request.identity.email)

    def do(preview: Preview, _reason: str, form: SentForm) -> str:
        words = letters.checked(acts.text(request, "subject"), acts.text(request, "text"))
        to = noticing.owners(request, [item.id for item in preview.doable])
        sealer = request.account_rules.sealer
        notices.send(request.db, request.identity, sealer, notice(*words), to, reason="")
        items = [_done(item) for item in preview.items]
        return bulk.keep(request, form, preview.title, items)

    return writing.respond(
        request, page, lambda *words: _preview(request, ids, rows, notice(*words)), do
    )


def _preview(
    request: Request, ids: Sequence[int], rows: Sequence[ServerRow], notice: Notice
) -> Preview:
    to = noticing.owners(request, [row.server.id for row in rows])
    told = {owner.email for owner in to}
    items = [*(_item(request, row, told) for row in rows), *gone(ids, rows)]
    letter = notices.letter(notice, to[0], "") if to else None
    mails = plural(len(to), "mail")
    return Preview(
        title=f"Send {mails}",
        verb=f"Send {mails}",
        section="vms",
        up=(("VMs", request.route_path("admin.vms")),),
        facts={"Chosen": plural(len(ids), "VM"), "Owners": plural(len(to), "person", "people")},
        follows=("Each owner gets one mail, that names their VMs.", "It cannot be taken back."),
        items=items,
        obstacle="" if to else "None of their owners gets mail.",
        kept={
            "subject": [notice.subject],
            "text": [notice.text],
            "id": [str(id_) for id_ in ids],
        },
        part="notice" if letter else "",
        values=writing.sample(letter, to[0].email, mails=len(to)) if letter else {},
        also=writing.ALSO,
        versions=(notice.subject, letter.text) if letter else (),
        command=_command(rows),
    )


def _command(rows: Sequence[ServerRow]) -> str:
    ids = " ".join(str(row.server.id) for row in rows[:5]) + (" …" if len(rows) > 5 else "")
    return f"cloudweb server mail {ids} --subject … --text …"


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
    told = {"id": item.id, "name": item.name, "of": "vms", "verb": "mail"}
    if item.why_not:
        return told | {"result": "skipped", "why": item.why_not}
    return told | {"result": "asked", "why": f"A mail to {item.version}"}
