"""The Kazoo platform's API, Crossbar: a client and its documents. Nothing else talks to it."""
