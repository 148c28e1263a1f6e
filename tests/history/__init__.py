"""What happened, written down by those it happened to, and the rules it must have kept."""
