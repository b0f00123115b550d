"""Design spaces: their points, how they run and where their rows are kept, and the search for the best of them."""
