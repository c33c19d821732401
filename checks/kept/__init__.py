"""Rules whose evidence people keep, beside what a source shows."""
