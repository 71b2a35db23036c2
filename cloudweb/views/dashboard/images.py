"""Images: what servers are made from, whoever registered it."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts, audit, image_lists, image_members
from cloudweb.models import Image, User
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

_YES_NO = {"yes": "yes", "no": "no"}

IMAGES = Listing(
    name="images",
    title="Images",
    one="image",
    many="images",
    fields=image_lists.FIELDS,
    rows=image_lists.rows,
    row=lambda image, owner: (image, owner),
    key=lambda row: row[0].id,
    section="vms",
    search=(Image.name, Image.id, Image.location, User.email),
    hint="name, id, location or owner",
    choices={"public": ("Public", _YES_NO), "deleted": ("Deleted", {"no": "no", "yes": "yes"})},
    unless_asked={"deleted": "no"},
    sort="name,id",
    columns=(
        Column("name", "Image", lambda row: row[0].name),
        Column("id", "Id", lambda row: row[0].id, "name"),
        Column("status", "State", lambda row: row[0].status),
        Column("public", "Public", lambda row: row[0].is_public),
        Column("owner", "Owner", lambda row: row[1], "name"),
        Column("format", "Format", lambda row: row[0].disk_format),
        Column("size", "Size", lambda row: row[0].size, "n"),
        Column("location", "Location", lambda row: row[0].location, "name"),
        Column("created", "Created", lambda row: row[0].created),
    ),
    nothing="There is no image yet: cloudweb image add, or POST /plankton/images/.",
)


@page_and_files("admin.images")
def index(request: Request) -> Response:
    """GET /admin/images, .csv, .json."""
    return lists.respond(request, IMAGES)


@view_config(route_name="admin.image", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/images/{id}."""
    image = request.db.get(Image, request.matchdict["id"])
    if image is None:
        raise faults.ItemNotFound("No such image.")
    return pages.show_signed_in(
        request,
        "image",
        image=image,
        owner=accounts.email_of(request.db, image.owner_id),
        members=image_members.list_emails(request.db, image, limit=100),
        history=audit.list_for(request.db, "image", image.id),
    )
