"""`python -m realmkit`."""

from realmkit.cli import main

if __name__ == "__main__":
    main()
