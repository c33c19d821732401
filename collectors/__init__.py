"""What is looked at: one package per provider, one module per service."""
