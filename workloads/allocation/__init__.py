"""How much of each layer stays under a budget of cost, by five methods; what goes together, and the smaller network."""
