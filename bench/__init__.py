"""Speed and memory, measured beside the peers in the same run and printed as ratios: `make bench`."""
