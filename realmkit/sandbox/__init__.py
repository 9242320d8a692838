"""A whole platform in one process, on loopback only: for the demo, for rehearsals and for tests."""
