"""AUI worker: puts AUI's AI agents behind RabbitMQ.

Layers, from the bottom; imports go down only and siblings do not know each other:

    core        pure rules: no I/O, clock, randomness or event loop
    telemetry   logs
    amqp  aui  relay    RabbitMQ · AUI · the flow of one job between them, over ports
    settings    configuration, read once
    app         the composition root
    http        what a worker tells over HTTP: health and metrics
    check       would a worker work here, and if not, why not
    cli         one file per command
    testing     for the tests of those who use the worker

``sandbox`` stands apart: a faithful AUI to develop against, which shares no code with the rest.
"""
