"""What outlives a crashed actor inside one process: small thread-safe tables, each with one writer per entry."""
