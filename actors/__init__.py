"""The engine: envelopes in, outcomes out.

Knows pykka, threads and time; never decodes a payload and never imports the product built on it.
"""
