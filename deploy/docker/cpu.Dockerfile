# ddim-edge on the CPU, with text models and the server. The last stage has Python alone: no shell, no package manager.
ARG BUILD_BASE=docker.io/library/debian:bookworm-slim
ARG BASE=gcr.io/distroless/python3-debian12:nonroot

FROM ${BUILD_BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Both stages have Debian's Python 3.11 in /usr/bin, so the environment runs in the last one as it is.
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python3 -m venv --without-pip /opt/ddim-edge \
    && python3 -m pip --python /opt/ddim-edge/bin/python install --no-cache-dir --constraint constraints.txt \
       "$(echo /wheels/*.whl)[cpu,serve,text,redis]" \
    && mkdir --parents /volumes/cache /volumes/images

FROM ${BASE}
COPY --from=build /opt/ddim-edge /opt/ddim-edge
COPY --from=build --chown=65532:65532 /volumes /
ENV PATH=/opt/ddim-edge/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    DDIM_EDGE_CACHE=/cache
USER 65532:65532
WORKDIR /images
VOLUME ["/cache"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["/opt/ddim-edge/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["/opt/ddim-edge/bin/ddim-edge"]
CMD ["serve", "--host", "0.0.0.0"]
