"""Seats held for one user until a deadline."""
