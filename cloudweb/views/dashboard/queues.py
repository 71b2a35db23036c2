"""Queues: how full they are, and the messages that nobody could apply."""

import dataclasses
from collections.abc import Sequence

import orjson
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.backend.amqp.retrying import retry as retry_letter
from cloudweb.domain import accounts, audit, consumers, dead_letters, fleet, texts
from cloudweb.domain.consumers import ConsumerState
from cloudweb.models import DeadLetter, EventSource, LetterState, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, lists, pages
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look

_SHOWN_BYTES = 20_000
_RECENT = 10

_KINDS = {
    "": "Not noted",
    "UnreadableMessage": "Nothing that agents send",
    "ImpossibleMessage": "Says what cannot be",
    dead_letters.GIVEN_UP: "Given up by the broker",
}


def kind_of(kind: str) -> str:
    """A kind of failure in words; the class of an exception stays as it is."""
    return _KINDS.get(kind, kind)


LETTERS = Listing(
    name="letters",
    title="Dead letters",
    one="dead letter",
    many="dead letters",
    section="operations",
    fields=dead_letters.FIELDS,
    rows=dead_letters.rows,
    row=lambda letter: letter,
    key=lambda letter: letter.id,
    search=(DeadLetter.routing_key, DeadLetter.cluster, DeadLetter.event, DeadLetter.reason),
    hint="routing key, backend, event, reason or id",
    choices={"state": ("State", {each.value: look(each).word for each in LetterState})},
    sort="-id",
    columns=(
        Column("id", "Letter", lambda letter: letter.id),
        Column("state", "State", lambda letter: letter.state.value),
        Column("received", "Received", lambda letter: letter.received),
        Column("queue", "Queue", lambda letter: letter.queue),
        Column("routing_key", "Routing key", lambda letter: letter.routing_key, "name"),
        Column("backend", "Backend", lambda letter: letter.cluster, "name"),
        Column("event", "Event", lambda letter: letter.event, "name"),
        Column("kind", "Kind of error", lambda letter: letter.kind, "name"),
        Column("reason", "Why", lambda letter: letter.reason, "prose"),
        Column("tries", "Tries", lambda letter: letter.tries, "n"),
        Column("tried", "Last tried", lambda letter: letter.tried),
    ),
    shown=("state", "received", "routing_key", "backend", "event", "reason", "tries"),
    nothing="No message is here that could not be applied.",
)


@view_config(route_name="admin.queues", request_method="GET", permission=Permission.QUEUE_VIEW)
def index(request: Request) -> Response:
    """GET /admin/queues: the queues, then the newest dead letters that wait."""
    pause = consumers.find_pause(request.db)
    processes = consumers.list_all(request.db)
    states = {each.name: consumers.state_of(each, pause) for each in processes}
    return pages.show_live(
        request,
        "queues",
        busy=False,
        pause=pause,
        processes=processes,
        lags=consumers.lags(processes),
        failures=dead_letters.list_failures(request.db),
        kind_of=kind_of,
        states=states,
        overall=_overall(list(states.values())),
        clusters=[
            each
            for each in fleet.list_all(request.db)
            if each.event_source is EventSource.AGENTS and not each.offline
        ],
        configured=bool(request.conf.amqp_hosts),
        queues=dead_letters.list_counts(request.db),
        rows=dead_letters.list_recent(request.db, limit=_RECENT),
        waiting=dead_letters.count_waiting(request.db),
    )


def _overall(states: Sequence[ConsumerState]) -> ConsumerState:
    """How it is to all: as with the consumer that fares best."""
    best = (ConsumerState.LISTENING, ConsumerState.PAUSED, ConsumerState.NO_BROKER)
    return next((state for state in best if state in states), ConsumerState.DOWN)


@view_config(
    route_name="admin.queues.pause",
    request_method=("GET", "POST"),
    permission=Permission.QUEUE_MANAGE,
)
def pause(request: Request) -> Response:
    """GET, POST /admin/queues/pause, with a reason."""

    def make() -> Preview:
        found = consumers.find_pause(request.db)
        return Preview(
            title="Pause the consumers",
            verb="Pause",
            section="operations",
            up=(("Queues", request.route_path("admin.queues")),),
            facts={"Consumers": str(len(consumers.list_all(request.db)))},
            follows=(
                "They apply no message until they are resumed; that takes some seconds.",
                "Messages wait in the queues, and none is lost.",
                "What clusters with agents do is heard of later, or when the worker asks them.",
            ),
            reason="required",
            obstacle="" if found is None else f"They are paused already, by {found.actor}.",
            command="cloudweb queue pause --reason …",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        consumers.pause(request.db, request.identity, reason=reason)
        return str(request.route_path("admin.queues"))

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.queues.resume",
    request_method=("GET", "POST"),
    permission=Permission.QUEUE_MANAGE,
)
def resume(request: Request) -> Response:
    """GET, POST /admin/queues/resume."""

    def make() -> Preview:
        found = consumers.find_pause(request.db)
        since = f"{found.since:%Y-%m-%d %H:%M} UTC" if found else "not now"
        return Preview(
            title="Resume the consumers",
            verb="Resume",
            section="operations",
            up=(("Queues", request.route_path("admin.queues")),),
            facts={"Paused since": since}
            | ({"By": found.actor, "Why": found.reason} if found else {}),
            follows=("They apply what waits in the queues, in order.",),
            reason="optional",
            obstacle="They are not paused." if found is None else "",
            command="cloudweb queue resume",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        consumers.resume(request.db, request.identity, reason=reason)
        return str(request.route_path("admin.queues"))

    return acts.respond(request, make, do)


@page_and_files("admin.letters", Permission.QUEUE_VIEW)
def index_letters(request: Request) -> Response:
    """GET /admin/queues/letters, .csv, .json: also what was applied or dropped."""
    kinds = {kind: kind_of(kind) for kind in dead_letters.list_kinds(request.db)}
    return lists.respond(
        request,
        LETTERS,
        choices={"kind": ("Kind of error", kinds)},
        up=[("Queues", "admin.queues")],
        kind_of=kind_of,
    )


@view_config(route_name="admin.letter", request_method="GET", permission=Permission.QUEUE_VIEW)
def show(request: Request) -> Response:
    """GET /admin/queues/letters/{id}."""
    letter = dead_letters.get(request.db, int(request.matchdict["id"]))
    return pages.show_signed_in(
        request,
        "letter",
        letter=letter,
        kind=kind_of(letter.kind),
        body=_pretty(letter.body),
        cut=len(letter.body) > _SHOWN_BYTES,
        by=accounts.email_of(request.db, letter.settled_by_id),
        entries=audit.list_for(request.db, "letter", letter.id),
        retried=request.GET.get("retried", ""),
    )


def _pretty(body: bytes) -> str:
    """A message for people: indented where it is JSON."""
    try:
        text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        text = body[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return texts.shown(text[:_SHOWN_BYTES])


def _preview(request: Request, verb: str) -> Preview:
    letter = dead_letters.get(request.db, int(request.matchdict["id"]))
    waits = letter.state is LetterState.WAITING
    return Preview(
        title=f"{verb}: dead letter {letter.id}",
        verb=verb,
        section="operations",
        up=(("Queues", request.route_path("admin.queues")), (str(letter.id), _back(request))),
        facts={
            "Queue": letter.queue,
            "Routing key": letter.routing_key,
            "Backend": letter.cluster or "not said",
            "Event": letter.event or "not said",
            "State": look(letter.state).word,
            "Tried": figures.plural(letter.tries, "time"),
            "Why it could not be applied": letter.reason,
        },
        obstacle="" if waits else f"It is {letter.state.value} already.",
    )


@view_config(
    route_name="admin.letter.retry",
    request_method=("GET", "POST"),
    permission=Permission.QUEUE_MANAGE,
)
def retry(request: Request) -> Response:
    """GET, POST /admin/queues/letters/{id}/retry: applied, or it stays with the newest reason."""
    letter_id = int(request.matchdict["id"])

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Try again"),
            follows=(
                "It is applied as if it came now.",
                "If that does not work it stays, with the new reason.",
            ),
            command=f"cloudweb queue retry {letter_id}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        applied = retry_letter(request.db, request.identity, letter_id)
        return _back(request, retried="yes" if applied else "no")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.letter.drop",
    request_method=("GET", "POST"),
    permission=Permission.QUEUE_MANAGE,
)
def drop(request: Request) -> Response:
    """GET, POST /admin/queues/letters/{id}/drop, with a reason."""
    letter_id = int(request.matchdict["id"])

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Drop"),
            follows=("It is never applied. What it would have said stays as it is known here.",),
            danger=True,
            reason="required",
            phrase=f"drop letter {letter_id}",
            command=f"cloudweb queue drop {letter_id} --reason …",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        dead_letters.drop(request.db, request.identity, letter_id, reason=reason)
        return _back(request)

    return acts.respond(request, make, do)


def _back(request: Request, **query: str) -> str:
    path: str = request.route_path("admin.letter", id=int(request.matchdict["id"]), _query=query)
    return path
