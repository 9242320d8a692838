"""White label: a reseller's own domain and brand on the platform, from one file."""
