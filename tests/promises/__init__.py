"""Promises to users, one file each, named as sentences."""
