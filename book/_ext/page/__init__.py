"""What a page shows beside its text: the marks of equations, playgrounds, listings, the search."""
