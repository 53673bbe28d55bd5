"""What to build: networks, simulation, levers, incentives, capital."""
