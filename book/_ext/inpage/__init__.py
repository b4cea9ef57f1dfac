"""Code that runs in the reader's browser: what npm brings, which scripts a page loads, what it offers to run."""
