"""Who works here: people with roles and their sessions, and API keys of programs."""
