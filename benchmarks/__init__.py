"""Measures the worker against its peers, on a load whose every reply is checked."""
