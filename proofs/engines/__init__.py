"""The engines, in the order of the ledger's columns."""
