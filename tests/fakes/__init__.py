"""Stand-ins for what lives on the other side of a socket: real servers, on real ports, that misbehave on request."""
