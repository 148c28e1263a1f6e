"""The door for WebSockets: bots that execute, clients that send, and whoever looks on."""
