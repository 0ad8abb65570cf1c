"""The clock door: what happens by itself. Every job may run twice, late, or many at once."""
