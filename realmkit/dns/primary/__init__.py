"""What is asked of a primary server: zone transfers and dynamic updates, signed."""
