"""When nobody works: opening hours, holidays, time zones, and the quiet windows between them."""
