# Qraft: engine, REST server and commands in one image. `docker compose up` builds and runs it; see compose.yaml.
#
# The base image is pinned by its tag. Pin it by digest too where yours are built: PYTHON=3.11.13-slim-bookworm@sha256:…
ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements-run.lock requirements-build.lock ./
RUN python -m venv /opt/qraft \
    && /opt/qraft/bin/pip install --no-deps --require-hashes --requirement requirements-run.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md ./
COPY schema schema
COPY tui tui
COPY qraft qraft
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
    && /opt/qraft/bin/pip install --no-deps --no-index /wheel/*.whl
# The detectors' kernels are compiled for any CPU of the architecture, since the image may run on another than this one.
ENV NUMBA_CACHE_DIR=/var/cache/qraft NUMBA_CPU_NAME=generic
RUN /opt/qraft/bin/python -m qraft.detect.warm \
    && /opt/qraft/bin/pip uninstall --yes pip

FROM python:${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="Qraft" \
      org.opencontainers.image.description="Watches live data streams, finds what changed in them and says which fields caused it" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# These folders are the user's own, so that an empty named volume mounted there is too.
RUN groupadd --gid 10001 qraft \
    && useradd --uid 10001 --gid qraft --home-dir /var/lib/qraft --no-create-home --shell /usr/sbin/nologin qraft \
    && install --directory --owner=qraft --group=qraft --mode=0700 /var/lib/qraft \
    && pip uninstall --yes setuptools wheel pip
COPY --from=build /opt/qraft /opt/qraft
COPY --from=build --chown=10001:10001 /var/cache/qraft /var/cache/qraft
ENV PATH=/opt/qraft/bin:$PATH \
    HOME=/var/lib/qraft \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/var/cache/qraft \
    NUMBA_CPU_NAME=generic
USER 10001:10001
WORKDIR /var/lib/qraft
STOPSIGNAL SIGTERM
# The engine; the REST server has a check of its own in compose.yaml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/metrics', timeout=4)"]
# Signals go to Python itself, which ends in order and reaps its children; no init is needed.
ENTRYPOINT ["qraft"]
CMD ["engine", "--config", "/etc/qraft/config.toml"]
