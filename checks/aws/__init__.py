"""What must hold in Amazon Web Services."""
