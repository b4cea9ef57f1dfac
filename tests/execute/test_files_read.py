"""Whatever file a page is made from, wherever it lies: a rebuild shows it as it is now."""

from __future__ import annotations

import re
from base64 import b64decode
from fnmatch import fnmatch
from pathlib import Path

import pytest

from book._ext.files import source_files
from small_book import NOTEBOOK, TOC, Copy, copy_book

READS = """
```{code-cell} ipython3
from pathlib import Path

import optim_code

book = Path(optim_code.__file__).parents[1] / "book"
print((book / "FILE").read_text())
```
"""
CELLS = ("_static/d.csv", "_static/descent.css", "data/d.csv")
SHOWN = ("../.github/workflows/test.yml", "../../outside/shown.txt", ".hidden.txt")
IMAGES = (".t.svg", "u.*")
DOWNLOAD = "take.txt"
LOOKS = ("shared/own.css", "shared/extra-footer.html", "book/logo.svg", "book/extra/robots.txt")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>MARK</title></svg>\n'
FORMS = {".css": "body { --MARK: 1; }\n", ".html": "<p>MARK</p>\n", ".svg": SVG}
PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def test_links_to_folders_are_followed_and_end_where_they_lead_back(tmp_path: Path) -> None:
    for name in ("book/own/here.csv", "one/one.csv", "two/two.csv"):
        change(tmp_path, name, "")
    for link, to in (("book/one", "one"), ("one/two", "two"), ("two/one", "one"), ("book/own/up", "book"), ("up", "")):
        (tmp_path / link).symlink_to(tmp_path / to)
    found = [path.relative_to(tmp_path / "book").as_posix() for path in source_files(tmp_path / "book")]
    assert found == ["one/one.csv", "one/two/two.csv", "own/here.csv"]


def change(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small book whose pages read files of all kinds, and whose settings name some."""
    top = tmp_path_factory.mktemp("files")
    copy = copy_book(top / "book")
    change(top, "outside/d.csv", "first")
    (copy.root / "book/data").symlink_to(top / "outside")
    change(copy.root, "book/_static/d.csv", "first")
    for name in SHOWN:
        change(copy.root, f"book/{name}", "first")
    change(copy.root, f"book/{DOWNLOAD}", "first")
    change(copy.root, "book/.t.svg", SVG)
    (copy.root / "book/u.png").write_bytes(PNG)
    for name in LOOKS:
        change(copy.root, name, "")
    copy.replace("_config.yml", "html_static_path: [book/_static]", "html_static_path: [book/_static, shared]")
    copy.replace("_config.yml", "html_css_files: [descent.css]", "html_css_files: [descent.css, own.css]")
    copy.replace(
        "_config.yml",
        "templates_path: [book/_templates]",
        "templates_path: [shared, book/_templates]\n    html_logo: book/logo.svg\n    html_extra_path: [book/extra]",
    )
    copy.write("_toc.yml", TOC + "  - file: book/cells\n  - file: book/shown\n")
    copy.write("book/cells.md", f"{NOTEBOOK}\n# Cells\n" + "".join(READS.replace("FILE", name) for name in CELLS))
    shown = "".join(f"\n```{{literalinclude}} {name}\n```\n" for name in SHOWN)
    images = "".join(f"\n![A picture]({name})\n" for name in IMAGES)
    copy.write("book/shown.md", f"# Shown\n{shown}{images}\n{{download}}`It <{DOWNLOAD}>`\n")
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing has changed" in copy.build().stdout
    return copy


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        *((f"book/{name}", "book/cells.html") for name in CELLS),
        *((f"book/{name}", "book/shown.html") for name in SHOWN),
        *((f"book/{name}", "*") for name in ("u.svg", IMAGES[0], DOWNLOAD)),
        *((name, "[bgs]*.html" if name.endswith(".html") else "*") for name in LOOKS),
    ],
)
def test_a_changed_file_is_in_the_book(copy: Copy, name: str, shows: str) -> None:
    path, mark = copy.root / name, "newest" + re.sub(r"\W", "", name)
    with path.open("a") as file:
        file.write(FORMS.get(path.suffix, "MARK\n").replace("MARK", mark))
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    found = [mark.encode() in data for file, data in copy.published().items() if fnmatch(file, shows)]
    # Each page has the footer, the index and the search, too; a file of its own need not be shown on any other.
    assert any(found) if shows == "*" else found and all(found), done.stdout
