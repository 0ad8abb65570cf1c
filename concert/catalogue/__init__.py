"""Concerts, their performances, and the seats of each."""
