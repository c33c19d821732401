"""What must hold of training jobs, wherever they run."""
