"""A real router, killed with kill -9 at random moments; afterwards its history is checked."""
