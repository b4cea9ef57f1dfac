"""Print: the book and its hand-outs as PDF, and the slides."""
