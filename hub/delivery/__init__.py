"""Delivery to subscribers: subscriptions, signatures, retries in order, dead letters. No Kafka in here."""
