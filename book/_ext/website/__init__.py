"""What makes the pages a site: writing them, their style and script, icons, the search, links to the sources."""
