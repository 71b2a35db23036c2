"""Drawing pages and the parts of them that refresh, and the words and figures they share."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import forms, terms_languages, undos
from cloudweb.domain.preferences import Looks
from cloudweb.models import utc_now
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import actions, figures, states, topics, twins
from cloudweb.views.dashboard.browsers import browser

_TEMPLATES = "cloudweb:templates"
_BUSY_S = 3
_QUIET_S = 30


class Refused(Exception):
    """A page that refuses: what was begun is rolled back, then this is sent."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def show(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A whole page."""
    if status >= 400:
        request.refusal = _refusal(**values)
    known = {"now": utc_now(), "identity": None, "may": Permission, "live": None}
    text = render(f"{_TEMPLATES}/{template}.jinja2", known | values, request)
    return Response(text, status=status)


def _refusal(
    *,
    errors: Mapping[str, str] | None = None,
    error: str = "",
    moved: bool = False,
    **_values: Any,
) -> str:
    """Why a page refuses, in the words it shows: what the audit says."""
    said = [error, *(errors or {}).values(), "It has changed since it was shown." if moved else ""]
    return " ".join(filter(None, said))


def show_signed_in(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> Response:
    """A whole page for the person who asks."""
    return show(request, template, status=status, **_person(request), **values)


def show_live(
    request: Request,
    template: str,
    *,
    busy: bool,
    page: str = "",
    poll: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    """A page whose ``partials/<template>`` refreshes by itself: often while ``busy``.

    ``page`` is the template around it, if that has another name; ``poll`` where the part is asked
    for, if not at the page's address.

    Asked by the refreshing part itself it is that part alone, or 304 when nothing changed.
    """
    known = _person(request) | {"now": utc_now()} | values
    part = render(f"{_TEMPLATES}/partials/{template}.jinja2", known, request)
    tag = hashlib.sha256(f"{busy}{request.under_way}{part}".encode()).hexdigest()[:32]
    every_s = _BUSY_S if busy else _QUIET_S
    polled = {"every_s": every_s, "tag": tag, "url": poll or request.path_qs}
    polled["id"] = forms.token(every_s, polled["url"])[:8]
    poller = render(f"{_TEMPLATES}/partials/poll.jinja2", polled, request)
    if request.headers.get("HX-Request") == "true":
        if request.headers.get("HX-PTag") == tag:
            response = Response(status=304)
        else:
            mine = render(f"{_TEMPLATES}/partials/mine.jinja2", known | {"beside": True}, request)
            response = Response(part + poller + mine)
        response.headers["HX-PTag"] = tag
        return response
    live = Markup(part + poller)  # noqa: S704  (rendered by escaping templates)
    return show(request, page or template, status=status, live=live, **known)


def part(request: Request, template: str, **values: Any) -> Markup:
    """A part of a page, of ``partials/<template>``, to be put into another."""
    known = _person(request) | {"now": utc_now()} | values
    text = render(f"{_TEMPLATES}/partials/{template}.jinja2", known, request)
    return Markup(text)  # noqa: S704  (rendered by escaping templates)


def _person(request: Request) -> dict[str, Any]:
    identity = request.identity

    def can(permission: Permission) -> bool:
        return allows(identity.role, permission)

    undo = None
    if (given := request.GET.get("undo", "")) and request.headers.get("HX-Request") != "true":
        undo = undos.find(request.db, identity, given)
    return {"identity": identity, "can": can, "may": Permission, "undo": undo}


@pass_context
def when(context: Context, time: dt.datetime | None) -> Markup:
    """A time by the reader's clock, without the day when it is today; an en dash for none."""
    if time is None:
        return Markup("&ndash;")
    looks: Looks = context["request"].looks
    there = time.astimezone(looks.clock)
    day = "" if there.date() == utc_now().astimezone(looks.clock).date() else f"{there:%Y-%m-%d} "
    return Markup('<time datetime="{}" title="{}">{}{}</time>').format(
        time.isoformat(timespec="seconds"),
        f"{there:%Y-%m-%d %H:%M:%S} {looks.zone}",
        day,
        f"{there:%H:%M:%S}",
    )


@pass_context
def clock(context: Context, time: dt.datetime) -> str:
    """The time of day by the reader's clock."""
    looks: Looks = context["request"].looks
    return f"{time.astimezone(looks.clock):%H:%M:%S}"


def on_refused(refused: Refused, request: Request) -> Response:
    """The page of the refusal; the unit of work has been rolled back."""
    return refused.response


def includeme(config: Configurator) -> None:
    """The templates' filters and the exit for pages that refuse."""
    config.add_jinja2_search_path(_TEMPLATES, ".jinja2")
    config.add_exception_view(on_refused, context=Refused)
    config.commit()
    environment = config.get_jinja2_environment(".jinja2")
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {
        "when": when,
        "clock": clock,
        "act": actions.words,
        "browser": browser,
        "gib": figures.gib,
        "moved": figures.moved,
        "look": states.look,
        "verb": states.verb,
        "image_state": states.image_state,
        "explain": states.explain,
        "whereabouts": states.whereabouts,
        "in_words": states.in_words,
        "kind": lambda kind: states.KINDS[kind],
        "number": figures.number,
        "plural": figures.plural,
        "runs": figures.runs,
        "resource": figures.resource,
        "language": terms_languages.name,
    }
    environment.globals |= {
        "meter_of": figures.meter,
        "allocated_of": figures.allocated,
        "share_of": figures.share,
        "undos": undos,
        "help_path": topics.path_of,
        "twin_of": twins.twin_of,
    }
