"""What `realmkit doctor` looks at in the DNS part of a project."""
