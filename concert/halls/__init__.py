"""Hall plans: where the seats of a house are, what they are called, and which are the best."""
