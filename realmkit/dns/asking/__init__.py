"""Asking name servers: many questions at once, each ended by one reply; and who is to be asked."""
