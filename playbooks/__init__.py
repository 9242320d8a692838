"""Playbooks that come with realmkit: migrations as data."""
