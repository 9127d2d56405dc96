# CPU by default; for a GPU choose a CUDA base, e.g. --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04
# (torch's wheels carry their own CUDA libraries; the base gives the driver's interface).
#
#   docker build -t lskd .
#   docker run --rm -v lskd-runs:/home/lskd/lskd/runs lskd bash scripts/demo.sh
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# DALI for GPU input pipelines, e.g. --build-arg DALI=dali-cuda120. `dali-cuda110` is NVIDIA's own index only, given by
# --build-arg DALI_INDEX.
ARG DALI=""
ARG DALI_INDEX=""

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ git python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home lskd

USER lskd
WORKDIR /home/lskd/lskd

# The environment first: it changes more rarely than the code.
COPY --chown=lskd pyproject.toml LICENSE README.md ./
COPY --chown=lskd scripts/setup.sh scripts/constraints.txt scripts/
COPY --chown=lskd nmt_plugin/__init__.py nmt_plugin/
COPY --chown=lskd shared/__init__.py shared/
COPY --chown=lskd vision/__init__.py vision/
RUN bash scripts/setup.sh
RUN if [ -n "${DALI}" ]; then \
        .venv/bin/pip install --no-cache-dir -c scripts/constraints.txt \
            ${DALI_INDEX:+--extra-index-url "${DALI_INDEX}"} --no-build-isolation -e ".[${DALI}]"; \
    fi

COPY --chown=lskd . .
RUN mkdir -p runs
ENV PATH=/home/lskd/lskd/.venv/bin:${PATH}
CMD ["bash", "scripts/test.sh"]
