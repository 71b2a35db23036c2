"""The reference in docs/api is what the code says, and its examples what the code does."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_reference_is_what_make_docs_writes(project: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert checked.returncode == 0, checked.stdout[-5000:] + checked.stderr[-5000:]


def test_the_index_links_to_every_page(project: Path) -> None:
    pages = project / "docs" / "api"
    index = (pages / "README.md").read_text(encoding="utf-8")
    for page in pages.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name
