# Reliquary's image: the program, PostgreSQL's client tools of several majors,
# and one server for drills. Runs as nobody in particular, writes to one volume.
#
#   docker build -t reliquary .
#   docker build -t reliquary --build-arg PACKAGES=debian .            Debian's PostgreSQL alone
#   docker build -t reliquary --build-arg CLIENTS="16 17" .            fewer clients
#   docker build -t reliquary --build-arg EXTENSIONS="postgresql-18-pgvector" .
#   docker build -t reliquary --build-arg BINARY=prebuilt .            takes target/release/reliquary
#
# Podman needs --format docker, or the health check is lost.

# Both are pinned by digest; what apt installs on top is the newest of its release.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-trixie@sha256:a6ed0cbc27f063c367aee8373f35fdf4dcf8be7596c4d19d6643e3252e514c2e
ARG DEBIAN_IMAGE=docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
# Where PostgreSQL comes from: `pgdg`, the project's own repository with every
# supported major, or `debian`, the one major of this Debian.
ARG PACKAGES=pgdg
# Where the program comes from: `build`, or `prebuilt`.
ARG BINARY=build


# --- The program -------------------------------------------------------------
FROM ${RUST_IMAGE} AS build
# ISA-L, the compressor, is built from source.
RUN apt-get update \
 && apt-get install -y --no-install-recommends autoconf automake libtool make nasm pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# The dependencies alone, in a layer that only a change of theirs makes anew.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir src benches \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs benches/archive.rs benches/retention.rs >/dev/null \
 && cargo build --release --locked --bin reliquary
COPY config/reliquary.toml config/
COPY src src
# Copied files may be older than what was built in their place.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    touch src/lib.rs src/main.rs \
 && cargo build --release --locked --bin reliquary

FROM scratch AS prebuilt
COPY target/release/reliquary /src/target/release/reliquary

FROM ${BINARY} AS binary


# --- Where packages come from ------------------------------------------------
FROM ${DEBIAN_IMAGE} AS base
# PostgreSQL reads the system's time zones, TLS its certificates.
RUN apt-get update \
 && apt-get -y upgrade \
 && apt-get install -y --no-install-recommends ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM base AS apt-debian
ENV CLIENTS_THERE=17 SERVER_THERE=17

# Debian itself ships the key of PostgreSQL's repository.
FROM base AS key
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-common

FROM base AS apt-pgdg
ENV CLIENTS_THERE="14 15 16 17 18" SERVER_THERE=18
COPY --from=key /usr/share/postgresql-common/pgdg/apt.postgresql.org.asc /usr/share/keyrings/pgdg.asc
RUN . /etc/os-release \
 && printf 'deb [signed-by=/usr/share/keyrings/pgdg.asc] https://apt.postgresql.org/pub/repos/apt %s-pgdg main\n' \
      "$VERSION_CODENAME" >/etc/apt/sources.list.d/pgdg.list

FROM apt-${PACKAGES} AS apt


# --- PostgreSQL: installed here, and only its own files are taken over --------
FROM apt AS postgresql
# Majors of the client tools, and the one of the server that drills start.
ARG CLIENTS
ARG SERVER
# Packages of extensions that the databases use, so that drills can create them.
ARG EXTENSIONS
# The packages' own scripts would make a cluster. The just-in-time compiler
# would bring LLVM along; a server that does not find it works without.
RUN clients=${CLIENTS:-$CLIENTS_THERE} server=${SERVER:-$SERVER_THERE} \
 && packages="postgresql-$server $EXTENSIONS" \
 && for major in $clients; do packages="$packages postgresql-client-$major"; done \
 && mkdir -p /etc/postgresql-common/createcluster.d \
 && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/image.conf \
 && apt-get update \
 && apt-get install -y --no-install-recommends $packages \
 && rm -rf /usr/lib/postgresql/*/lib/bitcode /usr/lib/postgresql/*/lib/llvmjit*
# Which libraries that needs, as packages; and, for scanners, what it came from.
RUN find /usr/lib/postgresql -type f \( -perm -u+x -o -name '*.so' \) -exec ldd {} + \
      | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | xargs realpath | sort -u \
      | xargs dpkg-query --search | cut -d: -f1 | sort -u >/libraries \
 && mkdir /status.d \
 && dpkg-query --show --showformat '${Package}\n' 'postgresql-[1-9]*' 'postgresql-client-[1-9]*' \
      | while read -r package; do dpkg-query --status "$package" >"/status.d/$package"; done


# --- The image ---------------------------------------------------------------
FROM apt
RUN --mount=type=bind,from=postgresql,source=/libraries,target=/libraries \
    apt-get update \
 && apt-get install -y --no-install-recommends $(cat /libraries) \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/reliquary --create-home \
      --shell /usr/sbin/nologin reliquary
COPY --from=postgresql /usr/lib/postgresql /usr/lib/postgresql
COPY --from=postgresql /usr/share/postgresql /usr/share/postgresql
COPY --from=postgresql /status.d /var/lib/dpkg/status.d
# A library that was left behind would only be missed in the middle of a drill.
RUN ! find /usr/lib/postgresql -type f \( -perm -u+x -o -name '*.so' \) -exec ldd {} + | grep 'not found'
COPY --from=binary /src/target/release/reliquary /usr/local/bin/reliquary

ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="Reliquary" \
      org.opencontainers.image.description="Keeps a managed PostgreSQL database recoverable: hourly logical backups to S3 that stock tools restore" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Without a bound the C library keeps memory for each of many short-lived threads:
# a quarter of what the daemon holds at rest.
ENV MALLOC_ARENA_MAX=2
# All that is ever written: sandboxes of drills, and temporary files. Everything
# else may be mounted read-only.
ENV TMPDIR=/var/lib/reliquary \
    RELIQUARY__DRILL__DIR=/var/lib/reliquary \
    RELIQUARY__HTTP__LISTEN=0.0.0.0:8080
VOLUME /var/lib/reliquary
WORKDIR /var/lib/reliquary
USER 10001:10001
EXPOSE 8080

# A stop waits `daemon.grace` (20 s) for a running job: give it more than
# Docker's 10 s, as in `docker stop --time 40`.
STOPSIGNAL SIGTERM
# Red when the last good backup is too old, or the daemon does not answer. It is
# for eyes and alerts; nothing should restart because of it, since a restart
# makes no backup.
HEALTHCHECK --interval=1m --timeout=15s --start-period=5m --retries=3 \
    CMD ["reliquary", "status", "--live"]
ENTRYPOINT ["reliquary"]
CMD ["run"]
