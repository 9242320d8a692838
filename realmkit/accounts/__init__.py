"""Customers' accounts on the platform, each from one reviewable file: planned, applied, shown, found."""
