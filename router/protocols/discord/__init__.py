"""Discord's REST interface as an executor: a target of ``rest``, there when a token is configured."""
