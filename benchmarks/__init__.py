"""How fast, in one session on one machine: ``python -m benchmarks``. Ratios travel, absolute numbers do not."""
