"""The command ``guild-router``."""
