"""Wires the flow of a job, from settings and adapters to what takes deliveries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from worker.core.brownout import Tolerance
from worker.core.job_properties import JobRules
from worker.core.retry import RetryPolicy
from worker.relay.attempts import Attempts
from worker.relay.dead_letters import DeadLetters
from worker.relay.endings import Endings
from worker.relay.finished import Finished
from worker.relay.gate import Gate
from worker.relay.handler import Handler
from worker.relay.intake import Intake
from worker.relay.lanes import Lanes
from worker.relay.memory import Memory
from worker.relay.placing import Placing
from worker.relay.ports import Agent, Clock, Copies, Publisher, TaskExchanges
from worker.relay.received import Received
from worker.relay.recovery import Recovery
from worker.relay.requests import Requests
from worker.relay.turns import Turns
from worker.relay.users import Users
from worker.settings import Settings
from worker.telemetry.telemetry import Telemetry


@dataclass(frozen=True)
class Adapters:
    """What the flow works with: the ports, filled."""

    agents: Mapping[str, Agent]
    publisher: Publisher
    copies: Copies
    exchanges: TaskExchanges
    clock: Clock
    telemetry: Telemetry


@dataclass(frozen=True)
class Flow:
    """The flow of jobs through one worker.

    Attributes:
        intake: takes deliveries.
        lanes: where they are worked off.
        gate: admits attempts at AUI.
    """

    intake: Intake
    lanes: Lanes[Received]
    gate: Gate


def flow_of(settings: Settings, world: Adapters) -> Flow:
    """Build the flow."""
    worker = settings.worker
    clock, publisher = world.clock, world.publisher
    tolerance = Tolerance(worker.brownout_after, worker.probe_interval)
    gate = Gate(settings.limits, worker.concurrency, tolerance, clock)
    policy = RetryPolicy(worker.attempts, worker.job_deadline)
    attempts = Attempts(publisher, gate, policy, clock)
    memory = Memory()
    recovery = Recovery(world.agents, memory, clock)
    users = Users(world.agents)
    dead_letters = DeadLetters(world.copies, publisher, worker.id, clock)
    handler = Handler(
        turns=Turns(
            agents=world.agents,
            publisher=publisher,
            exchanges=world.exchanges,
            attempts=attempts,
            recovery=recovery,
            memory=memory,
            gate=gate,
            clock=clock,
        ),
        requests=Requests(world.agents, users, attempts, clock),
        placing=Placing(users, attempts, world.copies, publisher, clock),
        endings=Endings(publisher, dead_letters, Finished(), memory),
        partitions=worker.partitions,
        clock=clock,
        tracing=world.telemetry.tracing,
        metrics=world.telemetry.metrics,
        texts_told=worker.log_text,
    )
    lanes: Lanes[Received] = Lanes(handler.handle)
    rules = JobRules(worker.max_job_bytes, re.compile(worker.reply_to_pattern))
    return Flow(Intake(lanes, rules, worker.partitions, clock), lanes, gate)
