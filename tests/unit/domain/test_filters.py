"""The filter language: what it finds, in what order, and what it refuses."""

import contextlib
import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from cloudweb.domain import filters
from cloudweb.domain.filters import Field, Fields, Selection, Term
from cloudweb.faults import BadRequest
from cloudweb.models import (
    Flavor,
    OperState,
    Server,
    SessionFactory,
    User,
    unit_of_work,
    utc_now,
)

MakeServer = Callable[..., Server]

RUNS = sa.case((Server.state == OperState.STARTED, "runs"), else_="rests")
FIELDS = Fields(
    id=Server.id,
    name=Server.name,
    state=Server.state,
    runs=Field.of(RUNS, words={"runs": "runs", "rests": "rests"}),
    ram=Flavor.ram_mb,
    deleted=Server.deleted,
    node=Server.node,
    created=Server.created,
    owner=User.email,
)
QUERY = (
    sa.select(Server.name)
    .join(Flavor, Server.flavor_id == Flavor.id)
    .join(User, Server.user_id == User.id)
    .order_by(Server.id)
)


@pytest.fixture
def names(
    sessions: SessionFactory, make_server: MakeServer, make_flavor: Callable[..., Flavor]
) -> Callable[..., list[str]]:
    """Four servers; gives the names of those a selection finds."""
    small, large = make_flavor(ram_mb=1024), make_flavor(ram_mb=4096)
    day = dt.datetime(2025, 11, 20, 10, 30, 15, 500_000, tzinfo=dt.UTC)
    make_server(name="web, old", flavor=small, created=day)
    make_server(name="Web-2", flavor=large, created=day + dt.timedelta(days=1), node="n1")
    make_server(name='50%_"a"', flavor=large, state=OperState.STOPPED, created=utc_now())
    make_server(name="b\\c", flavor=small, deleted=True, state=OperState.DESTROYED, node="n2")

    def find(*texts: str, sort: str = "", limit: int | None = None) -> list[str]:
        with unit_of_work(sessions, write=False) as session:
            selection = Selection(texts, sort, limit)
            return list(session.scalars(selection.apply(QUERY, FIELDS)))

    return find


OLD, SECOND, QUOTED, GONE = "web, old", "Web-2", '50%_"a"', "b\\c"


FINDS = {
    "": [OLD, SECOND, QUOTED, GONE],
    "state=STARTED": [OLD, SECOND],
    " state = started , ram>=2048 ": [SECOND],
    "state!=STARTED": [QUOTED, GONE],
    "runs=rests": [QUOTED, GONE],
    "ram<2048": [OLD, GONE],
    "ram<=1024": [OLD, GONE],
    "ram=<1024": [OLD, GONE],
    "ram>1024": [SECOND, QUOTED],
    "ram=>1024.5": [SECOND, QUOTED],
    "ram>9223372036854775806": [],
    "ram>-1,": [OLD, SECOND, QUOTED, GONE],
    "name~WEB": [OLD, SECOND],
    'name="web, old"': [OLD],
    "name='web, old'": [OLD],
    r'name="50%_\"a\""': [QUOTED],
    r'name="b\\c"': [GONE],
    "name~%": [QUOTED],
    "name~_": [QUOTED],
    "name=web": [],
    "deleted=yes": [GONE],
    "deleted!=TRUE": [OLD, SECOND, QUOTED],
    "node=": [OLD, QUOTED],
    "node!=": [SECOND, GONE],
    "node!=n1": [OLD, QUOTED, GONE],
    "created=2025-11-20": [OLD],
    "created=2025-11-20T10:30": [OLD],
    "created=2025-11-20T10:30:15Z": [OLD],
    'created="2025-11-20 11:30:15+01:00"': [OLD],
    "created!=2025-11-20": [SECOND, QUOTED, GONE],
    "created<2025-11-21": [OLD],
    "created<=2025-11-20": [OLD],
    "created>2025-11-20,created<2025-11-21T11:00": [SECOND],
    "created>=30m": [QUOTED, GONE],
    "created<9999-12-30,owner~@example.org,id>0": [OLD, SECOND, QUOTED, GONE],
}


def test_a_filter_finds_what_it_says(names: Callable[..., list[str]]) -> None:
    assert {text: names(text) for text in FINDS} == FINDS


def test_all_filters_hold_and_the_limit_cuts(names: Callable[..., list[str]]) -> None:
    assert names("ram>1024", "state=STOPPED") == [QUOTED]
    assert names("ram>1024", limit=1) == [SECOND]


def test_a_sort_has_several_keys_and_what_is_nothing_comes_last(
    names: Callable[..., list[str]],
) -> None:
    assert names(sort="-ram,name") == [QUOTED, SECOND, GONE, OLD]
    assert names(sort="ram") == [OLD, GONE, SECOND, QUOTED], "then by id"
    assert names(sort="node") == [SECOND, GONE, OLD, QUOTED]
    assert names(sort="-node,-id") == [GONE, SECOND, QUOTED, OLD]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size=3", "There is no field 'size' here; there are: id, name, state,"),
        ("state", "cannot be read at 'state'"),
        ("state=STARTED ram>1", "cannot be read"),
        ('name="web', "cannot be read"),
        ('name=a"b', "cannot be read"),
        ("state=ACTIVE", "state: 'ACTIVE' is none of: BUILD, ERROR, STOPPED, STARTED, DESTROYED."),
        ("state>STARTED", "state: This is compared by = !=."),
        ("name<b", "name: This is compared by = != ~."),
        ("ram~1", "ram: This is compared by = != < <= > >=."),
        ("ram>=much", "ram: 'much' is not a number"),
        ("ram>=9223372036854775808", "or too large a one"),
        ("ram>=1e3", "is not a number"),
        ("ram>=", "ram: A value is missing after >=."),
        ("deleted=maybe", "deleted: 'maybe' is none of: yes, true"),
        ("created>=yesterday", "created: 'yesterday' is no time; write 2026-11-21"),
        ("created>=2026-13-01", "is no time"),
        ("created>=999999d", "is no time"),
        ("name=a\0b", "A filter is text."),
        ("name=\udcff", "A filter is text."),
        ("name~" + "x" * 5000, "at most 4096 characters"),
        (",".join(["ram>1"] * 40), "at most 30 comparisons"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        FIELDS.where(text)
    assert said in refusal.value.message


def test_a_sort_by_what_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match="no field 'size'"):
        FIELDS.order("name,-size")


@given(
    st.lists(
        st.builds(
            Term,
            st.sampled_from(list(FIELDS)),
            st.sampled_from(filters.OPERATORS),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        ),
        max_size=5,
    )
)
def test_what_is_spelt_reads_as_the_same(terms: list[Term]) -> None:
    assert filters.parse(filters.spell(terms)) == terms


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadRequest):
        FIELDS.where(text)
