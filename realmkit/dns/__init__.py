"""DNS: records as canonical wire, wanted sets, plans, providers, verification."""
