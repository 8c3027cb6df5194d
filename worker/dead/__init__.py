"""The dead letters, for people: look, send again, correct, throw away, take along.

How looking leaves the queue as it was is told in :mod:`worker.amqp.dead_queue`, what becomes of a
letter that is sent again in :mod:`worker.dead.again`.
"""
