"""The labs in the order of the lecture. One file each; a new one is added here and nowhere else."""
