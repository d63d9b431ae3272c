"""The hub beside its peers: the same events, the same work, the same output, in one run on one broker."""
