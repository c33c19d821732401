"""Rules about the people of identity providers."""
