"""Pure decisions: no I/O, no clock, no randomness of their own; ``now`` is an argument, in milliseconds."""
