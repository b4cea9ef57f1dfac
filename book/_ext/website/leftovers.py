"""Remove pages and pictures of an earlier build that the book no longer has."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from book._ext.files import html_pages


def remove_stale_files(app: Sphinx, error: Exception | None) -> None:
    """Remove the pages that Sphinx has not made, and the pictures that no page names."""
    if error is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    made = {out / "index.html", *html_pages(app).values()}
    text = ""
    for page in [path for path in out.rglob("*.html") if "_static" not in path.parts]:
        if page in made:
            text += page.read_text(encoding="utf-8")
        else:
            page.unlink()
    for picture in out.glob("_images/*"):
        if picture.name not in text:
            picture.unlink()
