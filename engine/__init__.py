"""Neural networks in NumPy: specs, layers, losses, optimizers, training. Knows no web, process or clock."""
