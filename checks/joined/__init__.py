"""Checks that read streams of several kinds."""
