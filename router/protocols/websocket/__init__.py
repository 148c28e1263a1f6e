"""The ``websocket`` protocol: the command is executed by a bot that is connected to this router."""
