"""Figures: their files, the pages that offer them, the programs that draw them, and what changed in them."""
