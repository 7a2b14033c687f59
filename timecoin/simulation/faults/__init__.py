"""What goes wrong in a simulated life: each kind draws its own faults from the seed, and makes them happen."""
