"""Calendars and slot chains: booked whole or not at all."""
