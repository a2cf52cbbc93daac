# ddim-edge for KubeRay, which starts its pods through a shell: Ray's own image, with the program and the extra "ray".
ARG BUILD_BASE=docker.io/library/debian:bookworm-slim
ARG BASE=docker.io/rayproject/ray:2.60.0-py311-cpu

FROM ${BUILD_BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN python -m pip install --no-cache-dir --constraint /wheels/constraints.txt "$(echo /wheels/*.whl)[cpu,serve,text,ray]"
ENV DDIM_EDGE_CACHE=/tmp/ddim-edge \
    RAY_USAGE_STATS_ENABLED=0
USER 1000
# The cluster's own probes decide about its pods.
HEALTHCHECK NONE
