"""A user's prepaid balance in whole won, and the ledger behind it."""
