"""Event-driven integration hub connecting council and central systems."""
