# The image of guard process, webhook and command line. docs/image.md says how to build it.
#
# Any Debian with Python 3.11 or newer can be the base; what is tested is Debian 13 with Python 3.13.
ARG BASE=docker.io/library/python:3.13-slim-trixie

# git and ssh, which read the sources, without the Perl that Debian's package of git brings along.
FROM ${BASE} AS git
COPY scripts/image-git /tmp/
RUN sh /tmp/image-git /git


# Our own wheel, by the locked build backend. How pip reaches its index can be given as secrets, of
# which nothing stays in the image.
FROM ${BASE} AS wheel
WORKDIR /src
COPY requirements-build.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -m venv /build \
    && /build/bin/pip --disable-pip-version-check --no-cache-dir install \
       --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY certs certs
COPY guard guard
COPY webhook webhook
RUN /build/bin/pip --disable-pip-version-check wheel \
    --no-index --no-deps --no-build-isolation --wheel-dir /wheels .


# The virtual environment with the locked packages: wheels only, so that no compiler is needed.
FROM ${BASE} AS packages
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends binutils \
       > /dev/null
COPY requirements-runtime.lock /tmp/
# The root of a pod is read-only, so all bytecode is made now. It is never compared with its source:
# neither changes, and a layer may change the times of both. The generated modules of the Kubernetes
# client are left out: they are never imported, and their bytecode is 19 MB. Symbols for debuggers
# are 37 MB of what the wheels bring.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -m venv /pip \
    && python3 -m venv --without-pip /opt/holdfast \
    && /pip/bin/pip --python /opt/holdfast/bin/python --disable-pip-version-check --no-cache-dir \
       install --no-compile --require-hashes --only-binary :all: -r /tmp/requirements-runtime.lock \
    && find /opt/holdfast/lib -name '*.so*' -type f -exec strip --strip-unneeded {} + \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
       -x '/kubernetes_asyncio/client/(api|models)/' /opt/holdfast/lib


# What our own wheel adds, apart: a new version is a small layer over the same large one.
FROM packages AS own
COPY --from=wheel /wheels /wheels
RUN touch /before \
    && /pip/bin/pip --python /opt/holdfast/bin/python --disable-pip-version-check \
       install --no-compile --no-index --no-deps /wheels/*.whl \
    && /pip/bin/pip --python /opt/holdfast/bin/python --disable-pip-version-check check \
    && python3 -m compileall -q --invalidation-mode unchecked-hash \
       /opt/holdfast/lib/python3*/site-packages/certs \
       /opt/holdfast/lib/python3*/site-packages/guard \
       /opt/holdfast/lib/python3*/site-packages/webhook \
    && mkdir /own \
    && find /opt/holdfast -newer /before ! -type d -exec cp --parents --target-directory /own {} +


FROM ${BASE}
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="Keeps a Kubernetes cluster equal to its source" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# ssh refuses to run as a user without a name. The state directory is the user's own also where no
# volume is mounted. Some bases come without bytecode of the standard library.
RUN echo 'holdfast:x:65532:65532:Holdfast:/nonexistent:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'holdfast:x:65532:' >> /etc/group \
    && install -d -o 65532 -g 65532 -m 0750 /var/lib/holdfast \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
       -x '/(site-packages|dist-packages|ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo)/' \
       "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=git /git/ /
COPY --from=packages /opt/holdfast /opt/holdfast
COPY --from=own /own/ /
ENV PATH=/opt/holdfast/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
# The webhook's reviews; health and metrics.
EXPOSE 10250 8080
ENTRYPOINT ["holdfast"]
