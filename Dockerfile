# gapcam in a container: an unprivileged user, a read-only root file system, a health check that follows the progress.
#   node scripts/build/container.mjs --packages packages --out image    puts the files of the image together
#   docker build -t gapcam image                                        or buildah bud, podman build
# docs/service.md says how to add a camera, a configuration and secrets.
FROM scratch
ADD root.tar /
USER 10001:10001
ENV GAPCAM_STATE_DIR=/var/lib/gapcam GAPCAM_PROGRESS_FILE=/run/gapcam/progress GAPCAM_WAIT_FOR_CAMERAS=true
ENV PATH=/usr/bin:/bin HOME=/var/lib/gapcam
VOLUME /var/lib/gapcam
# Healthy: progress within the last 20 s. find takes a millisecond; another Node would take half a second on a small board.
HEALTHCHECK --interval=15s --timeout=3s --start-period=90s --retries=2 \
  CMD ["/bin/sh", "-c", "find \"$GAPCAM_PROGRESS_FILE\" -newermt '20 seconds ago' | grep -q ."]
ENTRYPOINT ["/usr/bin/gapcam"]
CMD ["run"]
