"""Read sections, and compile their printed equations into rules that run."""
