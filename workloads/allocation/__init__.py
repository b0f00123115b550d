"""How much each layer keeps under a budget of cost: by one share, by chance, by rounds, by a knapsack, by an agent."""
