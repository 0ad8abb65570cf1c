"""Commands of one feature each; :mod:`concert.cli` hangs them into ``concert``."""
