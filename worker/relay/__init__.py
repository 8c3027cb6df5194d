"""The flow of one job between RabbitMQ and AUI: decode, converse, relay, decide, settle."""
