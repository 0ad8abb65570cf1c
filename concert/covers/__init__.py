"""Covers: a concert's picture, in a few sizes, and the accent colour that is taken from it."""
