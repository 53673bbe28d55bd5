"""What the record teaches: interfaces, layers, origin, conformance, agreement, control."""
