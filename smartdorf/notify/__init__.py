"""Telling people: the outbox is delivered to receivers, each on its own, until it is told or given up."""
