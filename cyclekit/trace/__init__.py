"""What every unit did: the tracks of a run, what it worked on step by step, and how both are written and drawn."""
