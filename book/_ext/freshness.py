"""The notebook cache looks at cells only; here it also learns of what the cells import.

The cache lives in a folder named by a hash of `optim_code` and the pinned versions, so a change there executes
everything anew, and going back finds the old outputs again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def digest(*paths: Path) -> str:
    """A hash of the given files, and of all files below the given folders: their names and bytes."""
    sha = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                sha.update(f"{file.relative_to(path.parent).as_posix()}\0".encode())
                sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()[:16]


def settle(app: Sphinx, config: Config) -> None:
    root = Path(app.srcdir)
    key = digest(root / "optim_code", root / "requirements.txt")
    config["nb_execution_cache_path"] = str(root / "_build" / ".jupyter_cache" / key)
    # A changed extension renders the same outputs differently: re-read all, execute nothing.
    config["descent_extension_digest"] = digest(root / "book" / "_ext")
    # A changed style sheet or template: write all pages again, read none; Sphinx would not even copy the style sheet.
    config["descent_look_digest"] = digest(root / "book" / "_static", root / "book" / "_templates")
    # Cells run in a folder of their own, and must still find optim_code. Fixed dates make a figure the same each time.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])
    # Sections run side by side, one a core; threads of torch's own would wait for one another, and round differently.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    os.environ.setdefault("FORCE_SOURCE_DATE", "1")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("descent_extension_digest", "", "env")
    app.add_config_value("descent_look_digest", "", "html")
    app.connect("config-inited", settle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
