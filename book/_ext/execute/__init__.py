"""What runs: which sections are outdated, the kernels that run them, and their outputs."""
