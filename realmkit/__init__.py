"""Move hosted-PBX accounts between SIP realms, publish their DNS, and keep watch over it."""

__version__ = "0.1.0"
