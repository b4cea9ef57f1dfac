"""Links to the sources, issues, Binder and Colab, at the head of each page, if `repository_url` names the repository.

Without it there is none. The notebooks are on the branch `gh-pages`, where the workflow that publishes the book puts
them, each beside `optim_code`; the branch `main` holds the sources.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from book._ext.downloads.notebooks import notebook_of
from book._ext.faults import Fault
from book._ext.sources.settings import line_in

GITHUB = re.compile(r"https://github\.com/([\w-]+/[\w.-]*\w)")


def switch_on_links(app: Sphinx, config: Config) -> None:
    """Switch on the theme's own links to the sources and their issues.

    Raises:
        Fault: if the address is none of a repository on GitHub, the one place that all the links know.
    """
    if not config.repository_url:
        return
    if not GITHUB.fullmatch(str(config.repository_url)):
        where = line_in(Path(app.srcdir) / "_config.yml", "repository_url:")
        said = f"repository_url: {config.repository_url} is no repository on GitHub"
        raise Fault(f"{where}: {said}; write https://github.com/OWNER/NAME, or nothing")
    config.html_theme_options |= {
        "repository_url": config.repository_url,
        "repository_branch": "main",
        "use_repository_button": True,
        "use_source_button": True,
        "use_issues_button": True,
    }


def offer_to_run(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Offer to run the page's notebook, if it has one."""
    place = notebook_of(app, pagename) if doctree is not None and app.config.repository_url else ""
    if not place:
        return
    name = app.config.repository_url.removeprefix("https://github.com/")
    addresses = {
        "Binder": f"https://mybinder.org/v2/gh/{name}/gh-pages?urlpath=lab/tree/{place}",
        "Colab": f"https://colab.research.google.com/github/{name}/blob/gh-pages/{place}",
    }
    links = [
        dict(type="link", url=url, text=where, tooltip=f"Run this section on {where}", icon="fas fa-rocket")
        for where, url in addresses.items()
    ]
    menu = dict(type="group", tooltip="Run this section", icon="fas fa-rocket", label="launch-buttons", buttons=links)
    context["header_buttons"].append(menu)


def setup(app: Sphinx) -> None:
    app.add_config_value("repository_url", "", "html", str)
