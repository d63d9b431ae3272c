"""The journal: what happened to every event; metadata, never payload."""
