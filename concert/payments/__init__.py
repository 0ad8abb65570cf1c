"""Paying a reservation: money, seats and the record of it, all or nothing."""
