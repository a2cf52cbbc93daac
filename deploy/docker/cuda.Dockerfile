# ddim-edge on NVIDIA GPUs. CUDA and cuDNN come as wheels; the driver comes from the host by NVIDIA's container toolkit.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS python
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python3 -m venv --without-pip /opt/ddim-edge \
    && python3 -m pip --python /opt/ddim-edge/bin/python install --no-cache-dir --constraint constraints.txt \
       "$(echo /wheels/*.whl)[gpu,serve,text,redis]" \
    && mkdir --parents /volumes/cache /volumes/images

FROM python
COPY --from=build /opt/ddim-edge /opt/ddim-edge
COPY --from=build --chown=65532:65532 /volumes /
ENV PATH=/opt/ddim-edge/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    DDIM_EDGE_CACHE=/cache \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 65532:65532
WORKDIR /images
VOLUME ["/cache"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s \
    CMD ["/opt/ddim-edge/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["/opt/ddim-edge/bin/ddim-edge"]
CMD ["serve", "--host", "0.0.0.0", "--provider", "cuda"]
