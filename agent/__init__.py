"""The engine of Evidenced: it collects, keeps, judges and proves evidence."""

__version__ = "0.1.0"
