"""Pure rules of the worker: values in, decisions out; no I/O, clock, randomness or event loop."""
