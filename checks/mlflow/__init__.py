"""What must hold of the model registry, and of the runs behind what it holds."""
