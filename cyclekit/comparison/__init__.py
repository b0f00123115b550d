"""The same layers on several machines: what each costs, and from which batch, density and size on which one wins."""
