"""Reading anything into a frame; roles, splits, leaks. No torch here."""
