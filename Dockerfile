# No build step: Node runs the TypeScript as it is. The version is the one that the tests run on (test/supply.test.ts); who wants
# the very bytes: --build-arg BASE=node@sha256:…
ARG BASE=node:24.21.0-slim

FROM ${BASE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The devDependency node@24 is for laptops; here the image is Node 24.
RUN npm ci --omit=dev --ignore-scripts

FROM ${BASE}
WORKDIR /app
ENV NODE_ENV=production
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY src ./src
USER 65532:65532
EXPOSE 8443 9090
# Kubernetes asks by the chart's probes; this is for whoever runs it without.
HEALTHCHECK --interval=10s --timeout=5s --retries=6 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.OAAS_TUNER_METRICS_PORT ?? 9090}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
