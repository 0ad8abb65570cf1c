"""The line: rooms in PostgreSQL, places in Redis, queue tokens that prove a place."""
