"""Figures that several rooms have to give together; it reads, and changes nothing."""
