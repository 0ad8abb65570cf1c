"""Money back: refunds by staff, seats that are given back, dates that are cancelled, and the books."""
