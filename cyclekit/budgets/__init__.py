"""Networks brought within a budget of simulated cycles, time or energy: tables of costs, the flow of methods."""
