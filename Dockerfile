# Two images from one file:
#   app     web, live, worker, clock and the commands (the last stage, and so the usual one)
#   proxy   nginx with our configuration
# `docker-compose.yml` says which command runs where.

# Wheels only, checked against the lock's hashes: no compiler, and nothing unpinned.
FROM python:3.11-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
RUN ["python", "-m", "venv", "/opt/venv"]
COPY requirements.lock requirements-local.lock ./
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
# The project is installed in place, as in a checkout: the app finds templates/, static/
# and migrations/ beside its package. The build needs one tool, and its hash is locked too.
RUN awk '/^setuptools==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements-local.lock > build.lock \
    && /opt/venv/bin/pip install --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml app.py ./
COPY concert concert
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation --no-index --editable . \
    && /opt/venv/bin/pip uninstall --yes setuptools pip \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib concert app.py

FROM nginx:1.28-alpine AS proxy
COPY deploy/nginx.conf deploy/upstreams.conf /etc/nginx/
# The same beside a web, with which it shares an address (deploy/aws, deploy/kubernetes).
COPY deploy/nginx.conf deploy/beside/upstreams.conf /etc/nginx/beside/
COPY deploy/unavailable.html /srv/pages/unavailable.html
# All that is written. Where a volume is put here (Fargate), it gets this directory's mode.
VOLUME /tmp
USER nginx
EXPOSE 8080
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/proxy-health"]
# Not through the image's entry point: that one edits files, and these are read-only.
ENTRYPOINT []
CMD ["nginx", "-e", "stderr", "-g", "daemon off;"]

FROM python:3.11-slim-bookworm AS app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONCERT_ENV=production \
    CONCERT_LOG_FORMAT=json \
    CONCERT_WEB_THREADS=16 \
    HOME=/tmp
RUN groupadd --gid 10001 concert && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin concert
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /app /app
COPY templates templates
COPY static static
COPY migrations migrations
COPY deploy/healthcheck.py deploy/start.py deploy/
# As above.
VOLUME /tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "deploy/healthcheck.py", "web"]
ENTRYPOINT ["python", "deploy/start.py"]
# The flags are those of `concert/local/processes.py`, which says why each is there. No stream
# runs in this process, so it needs fewer threads, and requests get longer to end.
CMD ["python", "-m", "granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", \
    "--workers", "2", "--blocking-threads", "16", "--backlog", "1024", "--backpressure", "1024", \
    "--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "10", \
    "--no-ws", "--log-level", "error", "app:app"]
