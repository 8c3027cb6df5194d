#!/bin/sh
# Starts a worker for the real AUI, once key and password are as they should be.
set -eu
key=/run/secrets/aui_networks__live__api_key
if [ ! -f "$key" ] || [ ! -s "$key" ] || [ ! -r "$key" ]; then
    echo "live: no key: AUI_API_KEY_FILE is to name a file with it that the worker may read" >&2
    exit 78
fi
case $AMQP_URL in
*:guest@*)
    echo "live: real conversations are not for the password of development: docker compose down -v," >&2
    echo "live: then set RABBITMQ_PASSWORD" >&2
    exit 78
    ;;
esac
exec aui-worker run
