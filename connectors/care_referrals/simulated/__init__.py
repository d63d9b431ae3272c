"""A partner as it behaves: behind the BaRS proxy, and behind an MLLP listener."""
