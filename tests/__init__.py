"""Promises to users, kept or found broken."""
