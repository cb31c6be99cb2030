"""Talking to an API server: client, discovery, verbs on objects, list and watch."""
