"""The ``rest`` protocol: the command is a request to a bot's own endpoint, or to Discord's interface."""
