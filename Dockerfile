# Our own code is not compiled: Node runs the TypeScript as it is. The version is the one that the tests run on
# (test/supply.test.ts); who wants the very bytes: --build-arg BASE=node@sha256:…
ARG BASE=node:24.21.0-slim

FROM ${BASE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts: the devDependency node@24 is for laptops; here the image is Node 24.
RUN npm ci --ignore-scripts
COPY src ./src
# The Kubernetes client as one file of what is used of it (src/kube/client.ts).
RUN npm run bundle && npm prune --omit=dev --ignore-scripts

FROM ${BASE}
WORKDIR /app
# glibc takes an arena of its own for each thread, and keeps what a page of a list took once: both come to 20 MiB and more.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 NODE_COMPILE_CACHE=/app/cache
# The bundle is what `#kubernetes` means then (package.json); without it the client is loaded whole, and works as well.
ENV NODE_OPTIONS=--conditions=bundle
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=dependencies /app/out ./out
COPY src ./src
# Fills the cache of compiled code, so that no start has to load the compiler of TypeScript: each thread would keep it. With a
# port that is none the process ends once it is loaded, before it makes a key; so does the worker's thread without its settings.
RUN OAAS_TUNER_PORT=none node src/main.ts || node --eval "import('./src/worker/thread.ts').catch(() => {})"
USER 65532:65532
EXPOSE 8443 9090
# Kubernetes asks by the chart's probes; this is for whoever runs it without.
HEALTHCHECK --interval=10s --timeout=5s --retries=6 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.OAAS_TUNER_METRICS_PORT ?? 9090}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=4", "src/main.ts"]
