"""What the documents say of the code is what the code says."""

import re
from pathlib import Path

import pytest

from neurorack.shm import table

ROOT = Path(__file__).resolve().parent.parent


def test_the_memory_table_in_the_documents_is_the_one_in_force():
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = text.split("<!-- table -->\n")[1].split("<!-- /table -->")[0]
    assert shown == table.markdown(), "run: python -m neurorack.shm.table, and put it between the marks"


@pytest.mark.parametrize("path", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_every_file_that_a_document_names_is_there(path):
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing
