"""The one way something is changed here: a preview, a confirmation of just that, a result."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import forms, undos
from cloudweb.models import SentForm, Undo
from cloudweb.security import Permission, allows, with_reason
from cloudweb.views.dashboard import pages, proving

_LONGEST_WAS = 60_000
_SENT_SHOWN = 8
REFUSALS = (
    faults.BadRequest,
    faults.BuildInProgress,
    faults.Conflict,
    faults.NotAllowed,
    faults.OverLimit,
    faults.ServiceUnavailable,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One of many things: how it is now, whether it will be done to it, and if not, why."""

    id: int
    name: str
    why_not: str = ""
    version: object = 0
    url: str = ""
    now: str = ""

    @property
    def shown(self) -> list[str]:
        """What a preview says of it: its name, how it is, why not, and its version's token."""
        return [self.name, self.now, self.why_not, forms.token(self.version)[:8]]


class Kind(enum.StrEnum):
    """How a field of a form looks."""

    LINE = "line"
    LINES = "lines"
    CHOICE = "choice"
    MENU = "menu"
    TICK = "tick"
    PASSWORD = "password"  # noqa: S105  (a kind of field, and the one name such a field has)
    TIME = "time"


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """Something to fill in before it is done.

    ``options`` of a choice or a menu are value, words, and what more there is to say of it.
    """

    name: str
    label: str
    kind: Kind = Kind.LINE
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str, str]] = ()
    required: bool = False
    longest: int = 255
    language: str = ""
    """What is filled in is in this language, where that is not the page's."""

    def __post_init__(self) -> None:
        assert self.kind is not Kind.PASSWORD or self.name == "password"


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What a page shows before anything is done.

    ``facts`` is how things are now, ``follows`` what will come of it; ``obstacle`` why it cannot
    be done. ``part`` is the template that shows more, ``below`` the one under the form, both with
    ``values``. ``also`` are more buttons, each a value of ``show`` and its words, that only show
    the page again with what was filled in. ``kept`` are the inputs that go along with the
    confirmation, ``fields`` those to be filled in. ``reason`` says whether one is asked for ("",
    "optional", "required"); ``phrase`` must be typed. What is a ``danger`` has both, and is done
    only by who has lately shown to be who they are. ``command`` does the same in a shell.
    ``versions`` is what else must not move before it is confirmed.
    """

    title: str
    verb: str
    up: Sequence[tuple[str, str]]
    facts: Mapping[str, str]
    follows: Sequence[str] = ()
    items: Sequence[Item] = ()
    obstacle: str = ""
    reason: str = ""
    phrase: str = ""
    danger: bool = False
    harsh: bool = False
    """Whether the button looks like a warning, though it is no ``danger``."""
    kept: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    fields: Sequence[Field] = ()
    command: str = ""
    section: str = ""
    versions: object = ()
    part: str = ""
    below: str = ""
    also: Sequence[tuple[str, str]] = ()
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    leave: str = ""
    """What the button says that does nothing, where that is not said of itself."""

    def __post_init__(self) -> None:
        assert not self.danger or self.obstacle or (self.phrase and self.reason == "required")

    @property
    def token(self) -> str:
        """It moves with everything that is shown, and with ``versions``."""
        items = [(item.id, item.why_not, item.version, item.now) for item in self.items]
        return forms.token(sorted(self.facts.items()), items, self.obstacle, self.versions)

    @property
    def doable(self) -> Sequence[Item]:
        """The things it will be done to."""
        return [item for item in self.items if not item.why_not]

    @property
    def heading(self) -> str:
        """The title: a question where all there is to do is to say yes."""
        needed = (field.required and field.kind is not Kind.TICK for field in self.fields)
        return self.title if any(needed) else f"{self.title}?"

    @property
    def stay(self) -> str:
        """What the button says that does nothing."""
        return self.leave or ("Leave it as it is" if self.facts else "Back")

    @property
    def sent(self) -> Sequence[str]:
        """What its button sends beside the form's own fields; of much the beginning."""
        kept = [f"{name}={value}" for name, values in self.kept.items() for value in values]
        some = [each if len(each) <= 60 else f"{each[:60]}…" for each in kept[:_SENT_SHOWN]]
        more = ["…"] if len(kept) > _SENT_SHOWN else []
        filled = [field.name for field in self.fields]
        return (
            *(some + more),
            *filled,
            *(["reason"] if self.reason else []),
            *(["phrase"] if self.phrase else []),
        )

    @property
    def back(self) -> str:
        """Where to go without doing it."""
        return self.up[-1][1]


def respond(
    request: Request,
    make: Callable[[], Preview],
    do: Callable[[Preview, str, SentForm], str],
) -> Response:
    """GET: the preview. POST: done if the world is still as it was previewed, once; or, by a
    button that only shows, the preview with what was filled in.

    ``do`` gets the preview, the reason and the form, and says where to go.
    """
    if request.method != "POST" or text(request, "show"):
        preview = make()
        if preview.danger and not preview.obstacle and proving.is_due(request):
            return proving.ask(request)
        return _show(request, preview)
    form, again = claim(request)
    if again:
        return HTTPSeeOther(form.location)
    preview = make()
    if text(request, "seen") != preview.token:
        raise pages.Refused(_show(request, preview, status=409, moved=True))
    if preview.danger and proving.is_due(request):
        raise pages.Refused(proving.ask(request))
    reason = text(request, "reason").strip()
    errors = _check(request, preview, reason)
    if errors:
        raise pages.Refused(_show(request, preview, status=400, errors=errors))
    with_reason(request, reason)
    try:
        form.location = undoable(request, preview.title, do(preview, reason, form))
    except REFUSALS as fault:
        request.db.rollback()
        errors = dict(fault.fields) or {"": fault.message}
        raise pages.Refused(_show(request, make(), status=fault.code, errors=errors)) from None
    return HTTPSeeOther(form.location)


def at_once(request: Request, do: Callable[[], str], *, title: str = "") -> Response:
    """POST: what hurts nobody is done without a preview, and once; ``do`` says where to go.

    With a title it can be undone, if it is of that kind.
    """
    form, again = claim(request)
    if not again:
        form.location = undoable(request, title, do()) if title else do()
    return HTTPSeeOther(form.location)


def undoable(request: Request, title: str, location: str) -> str:
    """Where to go, with the number by which what was just done can be undone, if it can be."""
    undo = undos.offer(request.db, request.identity, title=title, location=location)
    if undo is None or not may_undo(request, undo):
        return location
    return f"{location}{'&' if '?' in location else '?'}undo={undo.id}"


def may_undo(request: Request, undo: Undo) -> bool:
    """Whether the role of who asks gives all that undoing takes."""
    wanted = map(Permission, undos.permissions(undo))
    return all(allows(request.identity.role, each) for each in wanted)


def claim(request: Request) -> tuple[SentForm, bool]:
    """The form that is sent, and whether it was sent before; it has its ``key`` with it."""
    verb = request.matched_route.name.rpartition(".")[2][:20]
    return forms.claim(request.db, request.identity, text(request, "key"), verb)


def _check(request: Request, preview: Preview, reason: str) -> dict[str, str]:
    errors = {}
    if preview.obstacle:
        errors[""] = preview.obstacle
    for field in preview.fields:
        if error := _check_field(field, text(request, field.name)):
            errors[field.name] = error
    if preview.reason == "required" and not reason:
        errors["reason"] = "Say why."
    if len(reason) > 255 or any(not character.isprintable() for character in reason):
        errors["reason"] = "One line of at most 255 characters."
    if preview.phrase and text(request, "phrase").strip().lower() != preview.phrase.lower():
        errors["phrase"] = f"Type: {preview.phrase}"
    return errors


def _check_field(field: Field, given: str) -> str:
    if field.required and not given.strip():
        return "Tick it to go on." if field.kind is Kind.TICK else "This is needed."
    if field.kind in (Kind.CHOICE, Kind.MENU) and given:
        return "" if given in {option[0] for option in field.options} else "Choose one of these."
    if field.kind is Kind.LINES and len(given) <= field.longest:
        return ""
    if field.kind is Kind.LINES:
        return f"At most {field.longest:,} characters."
    if len(given) > field.longest or any(not character.isprintable() for character in given):
        return f"One line of at most {field.longest} characters."
    return ""


def text(request: Request, name: str) -> str:
    """A field of the form, empty where there is none."""
    value = request.POST.get(name, "")
    return value if isinstance(value, str) else ""


def time(request: Request, name: str) -> dt.datetime | None:
    """A time of the form, in UTC unless it says otherwise; None where there is none.

    Raises BadRequest.
    """
    given = text(request, name).strip()
    if not given:
        return None
    try:
        found = dt.datetime.fromisoformat(given)
    except ValueError:
        wrong = {name: "Write a time like 2027-01-31T08:00, in UTC."}
        raise faults.BadRequest("", details=wrong) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _was(request: Request, part: str) -> dict[str, Any]:
    """What the preview that was confirmed had shown, as the form says: for people only."""
    given = text(request, "was")
    try:
        was = orjson.loads(given) if len(given) < _LONGEST_WAS else {}
    except orjson.JSONDecodeError:
        return {}
    found = was.get(part) if isinstance(was, dict) else None
    return found if isinstance(found, dict) else {}


def _moved_facts(request: Request, preview: Preview) -> dict[str, str]:
    """The facts that are others now, with what they were."""
    was = {str(name): str(value) for name, value in _was(request, "facts").items()}
    return {name: value for name, value in was.items() if preview.facts.get(name) != value}


def _moved_items(request: Request, preview: Preview) -> dict[int, str]:
    """How each of the things that have moved was, in words; of one that is gone, its name."""
    now, found = {item.id: item for item in preview.items}, {}
    for key, said in _was(request, "items").items():
        if not (key.isascii() and key.isdigit() and isinstance(said, list) and len(said) == 4):
            continue
        item, (name, state, why_not, _) = now.get(int(key)), map(str, said)
        if item is None:
            found[int(key)] = name
        elif item.shown != said:
            words = [f"called {name}"] if name != item.name else []
            words += [state] if state != item.now else []
            if why_not != item.why_not:
                words.append(f"to be skipped: {why_not}" if why_not else "to be done")
            found[int(key)] = ", ".join(words) or "otherwise in what is not shown here"
    return found


def _show(
    request: Request,
    preview: Preview,
    *,
    status: int = 200,
    moved: bool = False,
    errors: Mapping[str, str] | None = None,
) -> Response:
    items = _moved_items(request, preview) if moved else {}
    there = {item.id for item in preview.items}
    shown = {"items": {str(item.id): item.shown for item in preview.items}}
    return pages.show_signed_in(
        request,
        "act",
        status=status,
        preview=preview,
        key=forms.new_key(),
        shown=orjson.dumps({"facts": dict(preview.facts), **shown}).decode(),
        was=_moved_facts(request, preview) if moved else {},
        were={id_: words for id_, words in items.items() if id_ in there},
        gone=[words for id_, words in items.items() if id_ not in there],
        moved=moved,
        errors=errors or {},
        reason=text(request, "reason")[:1000],
        given={field.name: _given(request, field) for field in preview.fields},
    )


def _given(request: Request, field: Field) -> str:
    """What is in the field: what was sent, or what its page was asked for with."""
    if field.kind is Kind.PASSWORD:
        return ""
    given: str = request.GET.get(field.name, field.value)
    if request.method == "POST":
        given = text(request, field.name)
    return given[: max(1000, field.longest)]
