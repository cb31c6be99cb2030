"""Audit records: made, spooled, drained into a store, and asked for."""
