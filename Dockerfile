# Every image of Cofferdam, one a target. From a clone, with nothing but an engine:
#   docker build --target launch-agent  -t cofferdam/launch-agent:dev  .
#   docker build --target control-plane -t cofferdam/control-plane:dev .
#   docker build --target task-agent    -t cofferdam/task-agent:dev    .
# The order of the stages matters: builders without BuildKit build all that stand before the target.
ARG BASE=debian:bookworm-slim

# The bundles and Node 24, at /built. PREBUILT=yes takes both from the context, where `npm ci` and `npm run build` made them.
# On the builder's own architecture, whatever the image is for; without BuildKit, "linux" is that one.
FROM --platform=${BUILDPLATFORM:-linux} ${BASE} AS built
ARG PREBUILT=no
# For networks with an npm registry of their own, and for those with a proxy that signs anew: its certificate as PEM.
ARG NPM_CONFIG_REGISTRY=""
ARG EXTRA_CA=""
WORKDIR /source
COPY images/built/tools.sh images/built/fetch.sh images/built/packages.sh /built-by/
RUN /built-by/tools.sh
COPY package.json package-lock.json /source/
RUN /built-by/packages.sh
# A clone has no dist, which is why it stands as a pattern.
COPY tsconfig.json dis[t] /prebuilt/
COPY scripts /source/scripts
COPY src /source/src
COPY images/built /built-by
# Known to BuildKit alone.
ARG TARGETARCH
RUN /built-by/bundles.sh

# Two things in one: what `machine: true` runs in, and /opt/cofferdam, which other images get as a read-only volume.
FROM ${BASE} AS task-agent
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl git gzip jq openssh-client sudo tar unzip xz-utils zstd \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1001 --create-home --shell /bin/bash circleci \
    && echo 'circleci ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/circleci \
    && chmod 0440 /etc/sudoers.d/circleci
COPY --from=built /built/runtime /opt/cofferdam
COPY --from=built /built/sandbox /opt/cofferdam-sandbox
COPY images/task-agent/bin /opt/cofferdam/bin
COPY images/task-agent/argv.json /opt/cofferdam/
COPY --from=built /built/task-agent.cjs /opt/cofferdam/
LABEL dev.cofferdam.argv='["/opt/cofferdam/lib/ld.so","--library-path","/opt/cofferdam/lib","/opt/cofferdam/node","/opt/cofferdam/task-agent.cjs","--owns-container"]'
LABEL dev.cofferdam.nft='["/opt/cofferdam-sandbox/lib/ld.so","--library-path","/opt/cofferdam-sandbox/lib","/opt/cofferdam-sandbox/nft"]'
# What the engine would have to look up or make before the first task: the user, and a workspace that is theirs.
RUN install -d -o circleci -g circleci /home/circleci/project
LABEL dev.cofferdam.passwd="circleci:x:1001:1001::/home/circleci:/bin/bash" \
      dev.cofferdam.workspace="/home/circleci/project"
USER circleci
WORKDIR /home/circleci
CMD ["bash"]

# Node with its loader and its libraries at the places where they are looked for, and nothing else: no shell.
FROM scratch AS launch-agent
COPY --from=built /built/root /
COPY --from=built /built/launch-agent /opt/cofferdam/launch-agent
ARG VERSION=dev
# What comes through goes back to the system: malloc would keep 60 MB after 80 MB of output.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    COFFERDAM_TASK_AGENT_IMAGE=cofferdam/task-agent:${VERSION}
LABEL org.opencontainers.image.title="Cofferdam launch agent" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      dev.cofferdam.role="launch-agent"
# Owns the engine's socket on most hosts, so that it needs no capability: run it with all of them dropped.
USER 0:0
EXPOSE 7623
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=20s --start-period=60s CMD ["/usr/bin/node", "/opt/cofferdam/launch-agent/main.mjs", "health"]
# It rests most of the time, and carries bytes that others made: memory counts for more than the speed of its own code. To optimize that (the
# HTTP parser's WebAssembly above all) costs 25 MB, and was not seen to spare any time of the processor.
ENTRYPOINT ["/usr/bin/node", "--max-semi-space-size=1", "--optimize-for-size", "--liftoff-only", "--no-opt", "--no-maglev", "/opt/cofferdam/launch-agent/main.mjs"]

# git fetches the sources of pipelines. The command line is here, too: `docker exec … cofferdam trigger`.
FROM ${BASE} AS control-plane
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git libatomic1 libstdc++6 openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1001 --gid 0 --home-dir /var/lib/cofferdam --no-create-home --shell /usr/sbin/nologin cofferdam \
    && install -d -o cofferdam -g root -m 0770 /var/lib/cofferdam /var/lib/cofferdam-tokens
COPY --from=built /built/runtime/node /usr/bin/node
COPY --from=built /built/control-plane /opt/cofferdam/control-plane
COPY --from=built /built/cofferdam /opt/cofferdam/cofferdam
COPY images/control-plane/cofferdam /usr/local/bin/cofferdam
COPY docs/examples/pipeline /opt/cofferdam/example
COPY images/control-plane/example.sh /tmp/
RUN /usr/local/bin/cofferdam --version && /tmp/example.sh
ARG VERSION=dev
ENV NODE_ENV=production \
    COFFERDAM_HOST=0.0.0.0 \
    COFFERDAM_DATA_DIRECTORY=/var/lib/cofferdam
LABEL org.opencontainers.image.title="Cofferdam control plane" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      dev.cofferdam.role="control-plane"
USER cofferdam
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=20s --start-period=60s CMD ["/usr/bin/node", "/opt/cofferdam/control-plane/main.mjs", "health"]
ENTRYPOINT ["/usr/bin/node", "/opt/cofferdam/control-plane/main.mjs"]
