"""Looking: the only files of this room that open sockets. They report what they saw and judge nothing."""
