"""Ways to execute: the input and output behind each adapter."""
