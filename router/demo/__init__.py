"""The scripted conversation of ``guild-router run-demo``."""
