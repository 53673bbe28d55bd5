"""Identifiers of the field: parse, check, print. Structures only, no licensed code tables.

ISBT 128 is licensed by ICCBBA to its users; this package knows the public *shape* of its data
structures and nothing of its code tables. Start with `scan.read`, which says what a scanned
string is, or why it is nothing.
"""
