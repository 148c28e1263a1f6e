"""The fault matrix: every protocol under every fault, judged by a ledger outside the system."""
