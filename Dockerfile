# One image for every command: `up` over an embedded store in /data by default; `serve`, `consume`, `load`, `reindex` over
# a Qdrant server where KINDRED_QDRANT_URL names one.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/kindred
WORKDIR /src
# Dependencies change less often than the code: a layer of their own.
COPY requirements.lock ./
RUN /opt/kindred/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY kindred kindred
COPY server server
COPY consumers consumers
COPY loader loader
COPY cli cli
RUN /opt/kindred/bin/pip install "setuptools>=80" && \
    /opt/kindred/bin/pip install --no-deps --no-build-isolation . && \
    /opt/kindred/bin/pip uninstall --yes setuptools

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /home/kindred kindred && \
    install --directory --owner=kindred /data
COPY --from=build /opt/kindred /opt/kindred
ENV PATH=/opt/kindred/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KINDRED_DATA_DIR=/data \
    KINDRED_HOST=0.0.0.0 \
    KINDRED_LOG_FORMAT=json
USER kindred
VOLUME /data
EXPOSE 50051 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["kindred", "health"]
ENTRYPOINT ["kindred"]
CMD ["up"]
