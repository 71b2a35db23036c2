"""Takes pictures of the dashboard's pages in Chromium, light, dark and narrow, for docs/images.

    python scripts/screenshots.py [--all FOLDER]

With --all every page there is goes into FOLDER, also with forced colours (contrast) and on a
screen of 3840 by 2160 points (vast).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
LOOKS = ("light", "dark", "narrow")
SHOWN = {
    "overview": "Overview",
    "search": "Search",
    "vms": "VMs",
    "vm": "A VM",
    "vms-bulk": "Acting on many VMs",
    "vms-mail-shown": "Writing to owners",
    "vm-destroy": "Destroying a VM",
    "vm-migrate": "Migrating a VM",
    "vm-suspend": "Suspending a VM",
    "undo": "Undoing what was just done",
    "images": "Images",
    "backends": "Backends",
    "backend": "A backend",
    "backend-new": "Adding a backend",
    "drain": "Draining a backend",
    "node": "A node",
    "node-drain": "Draining a node",
    "evacuate": "Emptying a node",
    "adoption": "Adopting a cluster",
    "networks": "Networks",
    "network": "A network",
    "ips": "Addresses",
    "ip": "The history of an address",
    "pools": "Pools",
    "pool": "A pool",
    "pool-reserve": "Reserving values",
    "pool-new": "Making a pool",
    "flavors": "Flavors against regions",
    "flavors-compare": "Two regions compared",
    "flavor": "A flavor",
    "install": "An installation",
    "compute-flavors": "Compute flavors",
    "compute-flavor": "A compute flavor",
    "regions": "Regions",
    "region": "A region",
    "operations": "Operations",
    "operation": "An operation that failed",
    "jobs": "Jobs",
    "job": "A job",
    "queues": "Queues",
    "queues-pause": "Pausing the consumers",
    "letter": "A dead letter",
    "reconcile": "Differences",
    "reconcile-mend": "Mending differences",
    "reconcile-between": "Two comparisons side by side",
    "users": "Users",
    "user": "A user",
    "user-role": "Changing a role",
    "audit": "Audit",
    "audit-entry": "An entry of the audit",
    "terms": "Terms of use",
    "terms-edit": "Writing terms",
    "terms-diff": "Two versions compared",
    "terms-publish": "Publishing terms",
    "views": "Saved views",
    "account": "One's own account",
    "login": "Signing in",
    "help-vms": "Help on a page",
    "enrol": "Setting up a second factor",
    "vm-missing": "What is not there",
    "forbidden": "What is not allowed",
}
"""The pages whose pictures are kept, and what they show."""


def take(folder: Path, *, looks: str, only: str = "") -> None:
    """Have the browser take the pictures, as the browser tests start it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/browser/pictures.py"]
    wanted = {"": str(folder), "_ONLY": only, "_LOOKS": looks}
    environment = {f"CLOUDWEB_PICTURES{name}": value for name, value in wanted.items()}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=os.environ | environment, check=True)


def gallery() -> str:
    """A page that shows all of them."""
    lines = [
        "# Every page in pictures",
        "",
        "`make screenshots` takes them.",
        "",
        "| page | light | dark | narrow |",
        "|---|---|---|---|",
    ]
    for name, words in SHOWN.items():
        cells = (f"![{words}, {look}]({name}-{look}.webp)" for look in LOOKS)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, into this folder")
    wanted = parser.parse_args()
    if wanted.all is not None:
        take(wanted.all.resolve(), looks="light dark narrow contrast vast")
        return
    take(IMAGES, looks=" ".join(LOOKS), only=" ".join(SHOWN))
    (IMAGES / "README.md").write_text(gallery())


if __name__ == "__main__":
    main()
