"""A diet game whose services talk by events: a catalog of its own, with no Discord type in it."""
