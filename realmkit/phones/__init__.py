"""Desk phones: what they are, their configurations rendered and read back, published, and fetched on request."""
