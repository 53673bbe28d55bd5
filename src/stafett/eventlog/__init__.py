"""The record as one analytic table, made from a ledger, a simulation or a foreign log."""
