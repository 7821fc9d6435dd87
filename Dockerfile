# gapcam in a container: an unprivileged user, a read-only root file system, a health check that follows the progress.
#   docker build -t gapcam .
# docs/service.md says how to add a camera, a configuration and secrets.
FROM node:22-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ cmake make python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/gapcam
COPY package.json package-lock.json .npmrc CMakeLists.txt tsconfig.json ./
COPY native native
COPY scripts scripts
COPY src src
COPY prebuilds prebuilds
COPY models models
RUN npm run build && npm prune --omit=dev

FROM node:22-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 gapcam \
 && useradd --system --uid 10001 --gid gapcam --groups video --home-dir /var/lib/gapcam gapcam \
 && install -d -o gapcam -g gapcam -m 0700 /var/lib/gapcam \
 && install -d -o gapcam -g gapcam /run/gapcam
COPY --from=build /opt/gapcam /opt/gapcam
RUN ln -s /opt/gapcam/dist/cli/main.js /usr/local/bin/gapcam
USER gapcam
ENV GAPCAM_STATE_DIR=/var/lib/gapcam GAPCAM_PROGRESS_FILE=/run/gapcam/progress GAPCAM_WAIT_FOR_CAMERAS=true
VOLUME /var/lib/gapcam
# Healthy: progress within the last 20 s. find takes a millisecond; another Node would take half a second on a small board.
HEALTHCHECK --interval=15s --timeout=3s --start-period=90s --retries=2 \
  CMD ["/bin/sh", "-c", "find \"$GAPCAM_PROGRESS_FILE\" -newermt '20 seconds ago' | grep -q ."]
ENTRYPOINT ["/usr/local/bin/gapcam"]
CMD ["run"]
