"""Whether the tests guard the rules: each rule is broken in a copy of the tree, and its tests must fail.

``rules.toml`` is the list, :mod:`tests.mutants.run` goes through it (``make mutants``).
"""
