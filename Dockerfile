# One image for both halves, on CPUs by default:
#
#   docker build -t lskd .
#   docker run --rm -v lskd-runs:/home/lskd/lskd/runs lskd demo --quick
#   docker run --rm lskd            what else it runs
#
# For GPUs, a CUDA base (torch's wheels carry their own CUDA libraries; the base brings the driver's interface):
#
#   docker build -t lskd-gpu --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 --build-arg DALI=cuda130 .
#   docker run --rm --gpus all --shm-size 8g -v "$PWD/data/imagenet:/home/lskd/lskd/data/imagenet:ro" lskd-gpu \
#     vision experiment=...
#
# A tag can move: name@sha256:... as BASE pins it for good.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Debian keeps one version of a package at a time, so a version here would break with its next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ git python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 lskd \
    && install -d -o lskd /home/lskd/lskd
USER 10001
WORKDIR /home/lskd/lskd

# The environment comes before the code, because it changes more rarely. DALI: cuda120, cuda130 (both of scripts/lock/),
# none, or the address of another wheel with #sha256=... behind it, such as nvidia-dali-cuda110's in NVIDIA's own index.
ARG DALI=cuda120
ENV DALI=${DALI} PIP_NO_CACHE_DIR=1 PATH=/home/lskd/lskd/.venv/bin:${PATH}
COPY --chown=10001 pyproject.toml LICENSE README.md ./
COPY --chown=10001 scripts/setup.sh scripts/
COPY --chown=10001 scripts/lock scripts/lock
COPY --chown=10001 nmt_plugin/__init__.py nmt_plugin/
COPY --chown=10001 shared/__init__.py shared/
COPY --chown=10001 vision/__init__.py vision/
RUN bash scripts/setup.sh

COPY --chown=10001 . .
RUN mkdir -p runs
ENTRYPOINT ["bash", "scripts/entrypoint.sh"]
CMD ["--help"]
