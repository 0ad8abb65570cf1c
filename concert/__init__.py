"""Concert: a fair waiting room, a live seat map, holds, a wallet and payment.

The house, from the front door down (imports go down only):

- ``cli``, ``local``: commands, and the servers and processes of one machine
- ``factory``: builds the Flask app
- doors: ``web`` (pages), ``api`` (JSON), ``jobs`` (the clock); never each other
- rooms: ``payments``, then ``reservations``, then ``waiting_room``, ``wallet``,
  ``catalogue`` and ``accounts`` (never each other)
- ``ground``: settings, PostgreSQL, Redis, errors, facts, tokens, logs, health

A door loads, authorises, calls one service function and renders. A service
function is one unit of work. The database referees races over seats and money;
Redis decides only who is in line.
"""
