"""The agent judges itself: its own polls are one more stream."""
