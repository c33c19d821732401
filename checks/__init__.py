"""What must hold: pure functions over stored evidence."""
