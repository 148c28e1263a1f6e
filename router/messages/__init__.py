"""The catalog: every message type as a class."""
