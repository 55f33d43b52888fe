# Decompose photos without installing anything else:
#
#   docker build -t biofacenet --build-arg TORCH_OPTIONS="--index-url ..." .
#   docker run --rm -v "$PWD:/photos" biofacenet fit portrait.jpg
#
# TORCH_OPTIONS chooses a build of PyTorch, as pytorch.org describes; without it, one for CUDA is taken,
# which is larger by gigabytes.

FROM python:3.12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
ARG TORCH_OPTIONS=""
RUN pip install --no-cache-dir ${TORCH_OPTIONS} "torch>=2.11"
RUN pip install --no-cache-dir "setuptools>=77" ninja
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY biofacenet biofacenet
COPY kernels kernels
COPY csrc csrc
# A renderer that does not compile is an error here.
RUN BIOFACENET_REQUIRE_NATIVE=1 pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.12-slim
ARG TORCH_OPTIONS=""
RUN pip install --no-cache-dir ${TORCH_OPTIONS} "torch>=2.11"
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels
RUN useradd --create-home someone
USER someone
ENV MPLBACKEND=Agg
WORKDIR /photos
ENTRYPOINT ["biofacenet"]
CMD ["doctor"]
