"""The printed equations: how sections are read, and LaTeX is compiled to a rule that runs."""
