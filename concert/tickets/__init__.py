"""A ticket for each seat: its code, handing it on, and entering with it once."""
