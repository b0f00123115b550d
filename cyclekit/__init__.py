"""What every machine shares: timed parts, kernel options, ledger, records of runs and machines, figures, command."""
