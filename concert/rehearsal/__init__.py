"""The dress rehearsal: a crowd of fans over real HTTP, and a verdict on every promise.

``plan`` says who comes and when, ``fan`` is one person's evening, ``crew`` runs many of them in
one process, ``judge`` compares what they saw with what was promised, ``report`` and ``picture``
show it, and ``run`` puts it all together. Nothing here knows the service from within: it sees
what any program can see through the API, so it can rehearse a sale on any address.
"""
