# The worker, its sandbox and its tools in one image. For classic builder and BuildKit alike:
#
#   docker build -t aui-worker .
#   docker run --read-only --cap-drop ALL -e AMQP_URL=… -e AUI_NETWORK_API_KEY=… aui-worker
#
# PYTHON_IMAGE can be pinned: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# For an index of one's own; where they are not given, pip goes to PyPI.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/aui-worker
# The dependencies first: their layer is kept for as long as the lock files stay as they are.
COPY requirements.lock requirements-build.lock ./
RUN /build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock \
 && /build/bin/pip --python /opt/aui-worker/bin/python install \
    --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md ./
COPY worker worker
RUN /build/bin/pip wheel --no-build-isolation --no-deps --no-index --wheel-dir /wheel . \
 && /build/bin/pip --python /opt/aui-worker/bin/python install --no-deps --no-index /wheel/*.whl

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/aui-worker /opt/aui-worker
ENV PATH=/opt/aui-worker/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1 \
    WORKER_LOG_FORMAT=json
# Where a .env would be looked for. Nothing is ever written, here or elsewhere.
WORKDIR /app
USER 10001:10001
EXPOSE 8080
# The process alone: a broker or an AUI that is out is no reason to restart it. /readyz knows more.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-ISc", \
 "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('WORKER_HTTP_PORT') or 8080), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
# Exec form: Python is the process that SIGTERM reaches, and drains before it ends.
ENTRYPOINT ["aui-worker"]
CMD ["run"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="aui-worker" \
      org.opencontainers.image.description="Puts AUI's AI agents behind RabbitMQ: durable jobs in, streamed answers out." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
