"""Names and attributes of traces and metrics, as the conventions of OpenTelemetry spell them.

Copied, for the library that holds them promises nothing about them. Sources: OpenTelemetry
semantic conventions 1.44, "Messaging spans", "RabbitMQ" and "Messaging metrics" (Development),
"Generative AI" (Development), "HTTP spans", "Error". What begins with ``aui.`` is our own.
"""

SCOPE = "aui-worker"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION_NAME = "messaging.destination.name"
MESSAGING_DESTINATION_TEMPLATE = "messaging.destination.template"
MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_CONVERSATION_ID = "messaging.message.conversation_id"
MESSAGING_ROUTING_KEY = "messaging.rabbitmq.destination.routing_key"
MESSAGING_DELIVERY_TAG = "messaging.rabbitmq.message.delivery_tag"

GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"

HTTP_REQUEST_METHOD = "http.request.method"
HTTP_STATUS_CODE = "http.response.status_code"
URL_TEMPLATE = "url.template"

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
SERVICE_INSTANCE_ID = "service.instance.id"

NETWORK = "aui.network"
CHANNEL = "aui.channel"
ATTEMPT = "aui.attempt"
ATTEMPTS = "aui.attempts"
VERDICT = "aui.verdict"
REASON = "aui.reason"
RECOVERED = "aui.recovered"
DELIVERY_COUNT = "aui.delivery_count"
RETRY_IN = "aui.retry_in"
CLOSE_CODE = "aui.close_code"
REPLY_KIND = "aui.reply.kind"
LINK = "aui.link"
QUEUE = "aui.queue"

RABBITMQ = "rabbitmq"
AUI = "aui"
JOBS = "aui.jobs"
REPLIES = "aui.replies"
PROCESS = "process"
PUBLISH = "publish"
SEND = "send"
INVOKE_AGENT = "invoke_agent"
