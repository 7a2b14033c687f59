"""The service hierarchy, wired in one readable place."""
