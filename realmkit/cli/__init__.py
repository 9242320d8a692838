"""The command line: one file per noun, each function parses, calls one operation, prints."""


def main() -> None:
    """Run the command line."""
