"""Identifiers of the field: ISBT 128, chain of identity, SEC, GS1. Parse, check, print."""
