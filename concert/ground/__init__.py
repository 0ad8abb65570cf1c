"""What every room stands on: settings, PostgreSQL, Redis, errors, facts, tokens, logs, health."""
