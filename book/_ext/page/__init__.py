"""What a page shows beside its text: formulas, the marks of equations and sentences, playgrounds, listings."""
